CREATE TABLE `vacancies` (
	`tenant` text NOT NULL,
	`id` text NOT NULL,
	`seq` integer NOT NULL,
	`created_at` integer NOT NULL,
	PRIMARY KEY(`tenant`, `id`)
);
--> statement-breakpoint
CREATE INDEX `vacancies_created` ON `vacancies` (`created_at`);