DROP INDEX "rollout_devices_in_order";--> statement-breakpoint
DROP INDEX "events_by_time";--> statement-breakpoint
DROP INDEX "rollout_devices_by_device";--> statement-breakpoint
CREATE INDEX "devices_out_of_sync" ON "devices" USING btree ("id") WHERE not "devices"."in_sync";--> statement-breakpoint
CREATE INDEX "devices_failing" ON "devices" USING btree ("error_code","id") WHERE "devices"."error_code" is not null;--> statement-breakpoint
CREATE INDEX "events_by_rule" ON "events" USING btree ((body ->> 'rule'),"id");--> statement-breakpoint
CREATE INDEX "rollout_devices_by_position" ON "rollout_devices" USING btree ("rollout_id","position");--> statement-breakpoint
CREATE INDEX "rollout_devices_waiting" ON "rollout_devices" USING btree ("rollout_id","wave","position") WHERE "rollout_devices"."state" in ('waiting', 'deferred');--> statement-breakpoint
CREATE INDEX "events_by_time" ON "events" USING btree ("at","id");--> statement-breakpoint
CREATE INDEX "rollout_devices_by_device" ON "rollout_devices" USING btree ("device_id","generation");