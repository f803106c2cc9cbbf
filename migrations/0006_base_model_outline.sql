ALTER TABLE `node_base_models` ADD `intermediate_size` integer;--> statement-breakpoint
ALTER TABLE `node_base_models` ADD `poolings` text;