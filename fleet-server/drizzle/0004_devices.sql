CREATE TABLE "commands" (
	"id" text PRIMARY KEY NOT NULL,
	"device_id" text NOT NULL,
	"command" jsonb NOT NULL,
	"created_by" text NOT NULL,
	"issued_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"answered_at" timestamp (3) with time zone,
	"ok" boolean,
	"code" text,
	"result" jsonb
);
--> statement-breakpoint
CREATE TABLE "device_configurations" (
	"scope" text NOT NULL,
	"target" text NOT NULL,
	"version" integer NOT NULL,
	"configuration" jsonb,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"note" text DEFAULT '' NOT NULL,
	CONSTRAINT "device_configurations_pk" PRIMARY KEY("scope","target","version")
);
--> statement-breakpoint
CREATE TABLE "device_groups" (
	"name" text PRIMARY KEY NOT NULL,
	"selector" jsonb NOT NULL,
	"description" text DEFAULT '' NOT NULL,
	"priority" integer DEFAULT 0 NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"updated_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "drift_baselines" (
	"model" text NOT NULL,
	"device_id" text NOT NULL,
	"from_at" timestamp (3) with time zone NOT NULL,
	"until_at" timestamp (3) with time zone NOT NULL,
	"scores" bigint[] NOT NULL,
	"areas" bigint[] NOT NULL,
	CONSTRAINT "drift_baselines_pk" PRIMARY KEY("model","device_id")
);
--> statement-breakpoint
CREATE TABLE "drift_findings" (
	"model" text NOT NULL,
	"device_id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"score_psi" real NOT NULL,
	"area_psi" real NOT NULL,
	"detections" bigint NOT NULL,
	"drifting" boolean NOT NULL,
	"since" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "drift_findings_pk" PRIMARY KEY("model","device_id")
);
--> statement-breakpoint
CREATE TABLE "picture_deletions" (
	"sha256" text PRIMARY KEY NOT NULL,
	"at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "rollup_progress" (
	"name" text PRIMARY KEY NOT NULL,
	"until" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "schedules" (
	"name" text PRIMARY KEY NOT NULL,
	"expression" text NOT NULL,
	"due_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "telemetry_hours" (
	"device_id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"model" text NOT NULL,
	"messages" integer NOT NULL,
	"seconds" real NOT NULL,
	"frames" real NOT NULL,
	"fps_min" real NOT NULL,
	"latency_frames" real NOT NULL,
	"p50_sum" real NOT NULL,
	"p95_sum" real NOT NULL,
	"p99_sum" real NOT NULL,
	"inference_p95_sum" real NOT NULL,
	"p95_max" real,
	"drops" bigint NOT NULL,
	"cpu_sum" real NOT NULL,
	"cpu_max" real NOT NULL,
	"memory_max" bigint NOT NULL,
	"temperature_sum" real NOT NULL,
	"temperature_count" integer NOT NULL,
	"temperature_max" real,
	"throttled" integer NOT NULL,
	"disk_free_min" bigint,
	"restarts_max" bigint NOT NULL,
	"scores" bigint[] NOT NULL,
	"areas" bigint[] NOT NULL,
	CONSTRAINT "telemetry_hours_pk" PRIMARY KEY("device_id","at","model")
);
--> statement-breakpoint
CREATE TABLE "telemetry_minutes" (
	"device_id" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"model" text NOT NULL,
	"messages" integer NOT NULL,
	"seconds" real NOT NULL,
	"frames" real NOT NULL,
	"fps_min" real NOT NULL,
	"latency_frames" real NOT NULL,
	"p50_sum" real NOT NULL,
	"p95_sum" real NOT NULL,
	"p99_sum" real NOT NULL,
	"inference_p95_sum" real NOT NULL,
	"p95_max" real,
	"drops" bigint NOT NULL,
	"cpu_sum" real NOT NULL,
	"cpu_max" real NOT NULL,
	"memory_max" bigint NOT NULL,
	"temperature_sum" real NOT NULL,
	"temperature_count" integer NOT NULL,
	"temperature_max" real,
	"throttled" integer NOT NULL,
	"disk_free_min" bigint,
	"restarts_max" bigint NOT NULL,
	"scores" bigint[] NOT NULL,
	"areas" bigint[] NOT NULL,
	CONSTRAINT "telemetry_minutes_pk" PRIMARY KEY("device_id","at","model")
);
--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "pending" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "decommissioned_at" timestamp (3) with time zone;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "name" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "notes" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "announced_online" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "configuration_digest" text;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "desired_release" text GENERATED ALWAYS AS ((desired #>> '{release,name}') || '@' || (desired #>> '{release,version}')) STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "running" text GENERATED ALWAYS AS ((reported #>> '{active,release,name}') || '@' || (reported #>> '{active,release,version}')) STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "running_digest" text GENERATED ALWAYS AS (reported #>> '{active,release,digest}') STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "phase" text GENERATED ALWAYS AS (reported ->> 'phase') STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "error_code" text GENERATED ALWAYS AS (reported #>> '{error,code}') STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "reported_boot_id" text GENERATED ALWAYS AS (reported ->> 'bootId') STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "reported_sequence" bigint GENERATED ALWAYS AS ((reported ->> 'sequence')::bigint) STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "reported_generation" bigint GENERATED ALWAYS AS ((reported ->> 'generation')::bigint) STORED;--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "in_sync" boolean GENERATED ALWAYS AS (coalesce(
      reported ->> 'bootId' = boot_id and reported ->> 'phase' in ('COMMITTED', 'IDLE')
      and (reported ->> 'generation')::bigint >= (desired ->> 'generation')::bigint
      and reported #>> '{active,release,digest}' = desired #>> '{release,digest}'
      and (reported #>> '{active,framesRun}')::bigint > 0, false)) STORED NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "uses" integer DEFAULT 1 NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "used" integer DEFAULT 0 NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "role" text DEFAULT 'standard' NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "tags" jsonb DEFAULT '[]'::jsonb NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "approval" boolean DEFAULT false NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "created_by" text DEFAULT 'system' NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "note" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "enrollment_tokens" ADD COLUMN "revoked_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "commands_by_device" ON "commands" USING btree ("device_id","issued_at");--> statement-breakpoint
CREATE INDEX "drift_findings_by_device" ON "drift_findings" USING btree ("device_id");--> statement-breakpoint
CREATE INDEX "telemetry_hours_by_time" ON "telemetry_hours" USING btree ("at");--> statement-breakpoint
CREATE INDEX "telemetry_minutes_by_time" ON "telemetry_minutes" USING btree ("at");--> statement-breakpoint
CREATE INDEX "devices_by_tag" ON "devices" USING gin ("tags");--> statement-breakpoint
CREATE INDEX "devices_by_running" ON "devices" USING btree ("running");--> statement-breakpoint
CREATE INDEX "devices_by_release" ON "devices" USING btree ("desired_release_id");--> statement-breakpoint
CREATE INDEX "events_by_time" ON "events" USING btree ("at");--> statement-breakpoint
CREATE INDEX "events_by_label" ON "events" USING btree ((body ->> 'label'),"id");--> statement-breakpoint
CREATE INDEX "snapshots_by_time" ON "snapshots" USING btree ("received_at");--> statement-breakpoint
UPDATE "enrollment_tokens" SET "used" = 1 WHERE "used_at" IS NOT NULL;--> statement-breakpoint
UPDATE "devices" SET "announced_online" = "online";
