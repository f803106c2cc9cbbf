ALTER TABLE `files` ADD `purpose` text DEFAULT 'fine-tune' NOT NULL;--> statement-breakpoint
ALTER TABLE `files` ADD `expires_at` integer;--> statement-breakpoint
CREATE INDEX `files_expiring` ON `files` (`expires_at`) WHERE expires_at IS NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `metadata` text DEFAULT '{}' NOT NULL;--> statement-breakpoint
ALTER TABLE `jobs` ADD `parent` text;--> statement-breakpoint
ALTER TABLE `jobs` ADD `result_file` text;--> statement-breakpoint
CREATE INDEX `jobs_paused` ON `jobs` (`tenant`) WHERE status = 'paused';--> statement-breakpoint
UPDATE `jobs` SET `metadata` = coalesce((SELECT a.`metadata` FROM `adapters` AS a WHERE a.`tenant` = `jobs`.`tenant` AND a.`name` = `jobs`.`adapter_name` AND a.`version` = `jobs`.`adapter_version`), `metadata`);
