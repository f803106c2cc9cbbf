CREATE TABLE `task_parts` (
	`task_id` text NOT NULL,
	`number` integer NOT NULL,
	`key` text NOT NULL,
	`rows` integer NOT NULL,
	PRIMARY KEY(`task_id`, `number`)
);
--> statement-breakpoint
CREATE TABLE `tasks` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`tenant` text NOT NULL,
	`kind` text NOT NULL,
	`file` text NOT NULL,
	`file_key` text NOT NULL,
	`models` text NOT NULL,
	`rows` integer NOT NULL,
	`rows_done` integer DEFAULT 0 NOT NULL,
	`parts` integer DEFAULT 0 NOT NULL,
	`part_rows` integer DEFAULT 0 NOT NULL,
	`status` text DEFAULT 'queued' NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`failures` integer DEFAULT 0 NOT NULL,
	`lease_token` text,
	`lease_until` integer,
	`node_id` text,
	`result_key` text,
	`error` text,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `tasks_id` ON `tasks` (`id`);--> statement-breakpoint
CREATE INDEX `tasks_tenant` ON `tasks` (`tenant`,`kind`);--> statement-breakpoint
CREATE INDEX `tasks_queued` ON `tasks` (`tenant`) WHERE status = 'queued';--> statement-breakpoint
CREATE INDEX `tasks_running` ON `tasks` (`tenant`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `tasks_file` ON `tasks` (`file`);