CREATE TABLE `adapter_aliases` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`alias` text NOT NULL,
	`version` integer NOT NULL,
	`number` integer NOT NULL,
	`created_at` integer NOT NULL,
	`updated_at` integer NOT NULL,
	`updated_by` text NOT NULL,
	PRIMARY KEY(`tenant`, `name`, `alias`)
);
--> statement-breakpoint
CREATE TABLE `alias_changes` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`alias` text NOT NULL,
	`number` integer NOT NULL,
	`change` integer NOT NULL,
	`from_version` integer,
	`to_version` integer,
	`back` integer,
	`is_rollback` integer NOT NULL,
	`by` text NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`, `alias`, `number`)
);
