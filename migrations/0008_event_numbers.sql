CREATE TABLE `__new_job_events` (
	`job_id` text NOT NULL,
	`number` integer NOT NULL,
	`created_at` integer NOT NULL,
	`level` text NOT NULL,
	`message` text NOT NULL,
	`type` text NOT NULL,
	`data` text,
	PRIMARY KEY(`job_id`, `number`)
);
--> statement-breakpoint
INSERT INTO `__new_job_events`("job_id", "number", "created_at", "level", "message", "type", "data") SELECT "job_id", row_number() OVER (PARTITION BY "job_id" ORDER BY "seq"), "created_at", "level", "message", "type", "data" FROM `job_events`;--> statement-breakpoint
DROP TABLE `job_events`;--> statement-breakpoint
ALTER TABLE `__new_job_events` RENAME TO `job_events`;