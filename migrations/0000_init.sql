CREATE TABLE `adapter_names` (
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`last_version` integer NOT NULL,
	PRIMARY KEY(`tenant`, `name`)
);
--> statement-breakpoint
CREATE TABLE `adapters` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`tenant` text NOT NULL,
	`name` text NOT NULL,
	`version` integer NOT NULL,
	`job_id` text,
	`base_model` text NOT NULL,
	`base_model_sha256` text NOT NULL,
	`method` text NOT NULL,
	`hyperparameters` text,
	`seed` integer,
	`metadata` text NOT NULL,
	`created_at` integer NOT NULL,
	`bundle` text,
	`manifest` text,
	`prefix` text,
	`labels` text,
	`metrics` text,
	`ready_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `adapters_version` ON `adapters` (`tenant`,`name`,`version`);--> statement-breakpoint
CREATE INDEX `adapters_tenant` ON `adapters` (`tenant`);--> statement-breakpoint
CREATE INDEX `adapters_bundle` ON `adapters` (`bundle`) WHERE bundle IS NOT NULL;--> statement-breakpoint
CREATE TABLE `api_keys` (
	`hash` text PRIMARY KEY NOT NULL,
	`tenant` text NOT NULL,
	`created_at` integer NOT NULL,
	`revoked_at` integer
);
--> statement-breakpoint
CREATE TABLE `deletions` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`bundle` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `files` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`tenant` text NOT NULL,
	`filename` text NOT NULL,
	`bytes` integer NOT NULL,
	`examples` integer NOT NULL,
	`labels` text NOT NULL,
	`warnings` text NOT NULL,
	`object_key` text NOT NULL,
	`created_at` integer NOT NULL
);
--> statement-breakpoint
CREATE UNIQUE INDEX `files_id` ON `files` (`id`);--> statement-breakpoint
CREATE INDEX `files_tenant` ON `files` (`tenant`);--> statement-breakpoint
CREATE TABLE `idempotency` (
	`tenant` text NOT NULL,
	`key` text NOT NULL,
	`request_hash` text NOT NULL,
	`status` integer,
	`body` text,
	`location` text,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `key`)
);
--> statement-breakpoint
CREATE INDEX `idempotency_created` ON `idempotency` (`created_at`);--> statement-breakpoint
CREATE TABLE `job_events` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`job_id` text NOT NULL,
	`created_at` integer NOT NULL,
	`level` text NOT NULL,
	`message` text NOT NULL,
	`type` text NOT NULL,
	`data` text
);
--> statement-breakpoint
CREATE INDEX `job_events_job` ON `job_events` (`job_id`);--> statement-breakpoint
CREATE TABLE `jobs` (
	`seq` integer PRIMARY KEY AUTOINCREMENT NOT NULL,
	`id` text NOT NULL,
	`tenant` text NOT NULL,
	`adapter_name` text NOT NULL,
	`adapter_version` integer NOT NULL,
	`base_model` text NOT NULL,
	`base_model_sha256` text NOT NULL,
	`training_file` text,
	`training_key` text NOT NULL,
	`validation_file` text,
	`validation_key` text,
	`validation_split` text NOT NULL,
	`method` text NOT NULL,
	`hyperparameters` text NOT NULL,
	`seed` integer NOT NULL,
	`status` text DEFAULT 'queued' NOT NULL,
	`attempt` integer DEFAULT 0 NOT NULL,
	`failures` integer DEFAULT 0 NOT NULL,
	`lease_token` text,
	`lease_until` integer,
	`node_id` text,
	`resolved` text,
	`progress` text,
	`trained_tokens` integer,
	`error` text,
	`created_at` integer NOT NULL,
	`started_at` integer,
	`finished_at` integer
);
--> statement-breakpoint
CREATE UNIQUE INDEX `jobs_id` ON `jobs` (`id`);--> statement-breakpoint
CREATE INDEX `jobs_tenant` ON `jobs` (`tenant`);--> statement-breakpoint
CREATE INDEX `jobs_queued` ON `jobs` (`seq`) WHERE status = 'queued';--> statement-breakpoint
CREATE INDEX `jobs_running` ON `jobs` (`lease_until`) WHERE status = 'running';--> statement-breakpoint
CREATE INDEX `jobs_training_file` ON `jobs` (`training_file`) WHERE training_file IS NOT NULL;--> statement-breakpoint
CREATE INDEX `jobs_validation_file` ON `jobs` (`validation_file`) WHERE validation_file IS NOT NULL;--> statement-breakpoint
CREATE TABLE `node_base_models` (
	`node_id` text NOT NULL,
	`base_model` text NOT NULL,
	`position` integer NOT NULL,
	`sha256` text NOT NULL,
	`precisions` text NOT NULL,
	`hidden_size` integer NOT NULL,
	`num_layers` integer NOT NULL,
	`max_length` integer NOT NULL,
	`peft_name` text,
	PRIMARY KEY(`node_id`, `base_model`)
);
--> statement-breakpoint
CREATE TABLE `nodes` (
	`id` text PRIMARY KEY NOT NULL,
	`url` text NOT NULL,
	`device` text NOT NULL,
	`slots` integer NOT NULL,
	`version` text NOT NULL,
	`registered_at` integer NOT NULL,
	`last_seen` integer NOT NULL
);
--> statement-breakpoint
CREATE TABLE `objects` (
	`key` text PRIMARY KEY NOT NULL,
	`upload_id` text,
	`bytes` integer,
	`sha256` text,
	`created_at` integer NOT NULL,
	`expires_at` integer
);
--> statement-breakpoint
CREATE INDEX `objects_expiring` ON `objects` (`expires_at`) WHERE expires_at IS NOT NULL;