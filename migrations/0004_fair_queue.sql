DROP INDEX `jobs_queued`;--> statement-breakpoint
DROP INDEX `jobs_running`;--> statement-breakpoint
ALTER TABLE `jobs` ADD `leased_at` integer;--> statement-breakpoint
CREATE INDEX `jobs_trained` ON `jobs` (`tenant`,`finished_at`,`leased_at`) WHERE leased_at IS NOT NULL AND finished_at IS NOT NULL;--> statement-breakpoint
CREATE INDEX `jobs_queued` ON `jobs` (`tenant`) WHERE status = 'queued';--> statement-breakpoint
CREATE INDEX `jobs_running` ON `jobs` (`tenant`) WHERE status = 'running';