CREATE TABLE `tenant_limits` (
	`tenant` text PRIMARY KEY NOT NULL,
	`requests_per_minute` integer,
	`tokens_per_minute` integer,
	`queued_jobs` integer,
	`stored_bytes` integer
);
--> statement-breakpoint
CREATE TABLE `usage` (
	`tenant` text PRIMARY KEY NOT NULL,
	`minute` integer NOT NULL,
	`requests` integer NOT NULL,
	`tokens` integer NOT NULL
);
--> statement-breakpoint
ALTER TABLE `api_keys` ADD `expires_at` integer;--> statement-breakpoint
ALTER TABLE `api_keys` ADD `last_used_at` integer;--> statement-breakpoint
CREATE INDEX `api_keys_tenant` ON `api_keys` (`tenant`);