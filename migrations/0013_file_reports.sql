ALTER TABLE `files` ADD `report` text;--> statement-breakpoint
ALTER TABLE `files` ADD `errors_key` text;