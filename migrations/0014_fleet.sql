ALTER TABLE `api_keys` ADD `role` text;--> statement-breakpoint
ALTER TABLE `nodes` ADD `load` text;