CREATE TABLE "api_tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL
);
--> statement-breakpoint
CREATE TABLE "devices" (
	"id" text PRIMARY KEY NOT NULL,
	"hardware_class" text NOT NULL,
	"agent_version" text NOT NULL,
	"password_hash" text NOT NULL,
	"enrolled_at" timestamp (3) with time zone NOT NULL,
	"boot_id" text,
	"past_boots" jsonb DEFAULT '[]'::jsonb NOT NULL,
	"online" boolean DEFAULT false NOT NULL,
	"presence_at" timestamp (3) with time zone,
	"generation" bigint DEFAULT 0 NOT NULL,
	"desired" jsonb,
	"desired_release_id" integer,
	"reported" jsonb,
	"reported_received_at" timestamp (3) with time zone
);
--> statement-breakpoint
CREATE TABLE "enrollment_tokens" (
	"hash" text PRIMARY KEY NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"used_at" timestamp (3) with time zone,
	"used_by" text
);
--> statement-breakpoint
CREATE TABLE "events" (
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "events_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" text NOT NULL,
	"boot_id" text NOT NULL,
	"sequence" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "events_pk" PRIMARY KEY("device_id","boot_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "releases" (
	"id" serial PRIMARY KEY NOT NULL,
	"name" text NOT NULL,
	"version" text NOT NULL,
	"digest" text NOT NULL,
	"precision" text NOT NULL,
	"bytes" bigint NOT NULL,
	"state" text NOT NULL,
	"certified_by" text,
	"descriptor" jsonb NOT NULL,
	"descriptor_sha256" text NOT NULL,
	"descriptor_bytes" integer NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"withdrawn_at" timestamp (3) with time zone,
	CONSTRAINT "releases_name_version" UNIQUE("name","version")
);
--> statement-breakpoint
CREATE TABLE "replies" (
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "replies_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" text NOT NULL,
	"boot_id" text NOT NULL,
	"sequence" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "replies_pk" PRIMARY KEY("device_id","boot_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "reports" (
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "reports_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" text NOT NULL,
	"boot_id" text NOT NULL,
	"sequence" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "reports_pk" PRIMARY KEY("device_id","boot_id","sequence")
);
--> statement-breakpoint
CREATE TABLE "snapshots" (
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "snapshots_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" text NOT NULL,
	"event_id" text NOT NULL,
	"sha256" text NOT NULL,
	"bytes" integer NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	CONSTRAINT "snapshots_pk" PRIMARY KEY("device_id","event_id")
);
--> statement-breakpoint
CREATE TABLE "telemetry" (
	"id" bigint GENERATED ALWAYS AS IDENTITY (sequence name "telemetry_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"device_id" text NOT NULL,
	"boot_id" text NOT NULL,
	"sequence" bigint NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "telemetry_pk" PRIMARY KEY("device_id","boot_id","sequence")
);
--> statement-breakpoint
ALTER TABLE "devices" ADD CONSTRAINT "devices_desired_release_id_releases_id_fk" FOREIGN KEY ("desired_release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "events_newest" ON "events" USING btree ("device_id","id");--> statement-breakpoint
CREATE INDEX "events_by_id" ON "events" USING btree ("id");--> statement-breakpoint
CREATE INDEX "replies_newest" ON "replies" USING btree ("device_id","id");--> statement-breakpoint
CREATE INDEX "reports_newest" ON "reports" USING btree ("device_id","id");--> statement-breakpoint
CREATE INDEX "snapshots_newest" ON "snapshots" USING btree ("device_id","id");--> statement-breakpoint
CREATE INDEX "snapshots_by_sha256" ON "snapshots" USING btree ("sha256");--> statement-breakpoint
CREATE INDEX "telemetry_newest" ON "telemetry" USING btree ("device_id","id");