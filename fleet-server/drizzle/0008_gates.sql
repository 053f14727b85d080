CREATE TABLE "benchmark_results" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "benchmark_results_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"hash" text NOT NULL,
	"release_id" integer NOT NULL,
	"source" text NOT NULL,
	"device_id" text,
	"actor" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"received_at" timestamp (3) with time zone NOT NULL,
	"benchmark" text NOT NULL,
	"arch" text NOT NULL,
	"hardware_class" text,
	"emulated" boolean NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "benchmark_results_once" UNIQUE("hash","source")
);
--> statement-breakpoint
CREATE TABLE "gate_grants" (
	"release_id" integer NOT NULL,
	"hardware_class" text NOT NULL,
	"policy" text NOT NULL,
	"measured" jsonb NOT NULL,
	"granted_at" timestamp (3) with time zone NOT NULL,
	"verdicts" jsonb NOT NULL,
	"override_id" bigint,
	"revoked_at" timestamp (3) with time zone,
	"revoked_by" text,
	"revoke_reason" text,
	CONSTRAINT "gate_grants_pk" PRIMARY KEY("release_id","hardware_class")
);
--> statement-breakpoint
CREATE TABLE "gate_overrides" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "gate_overrides_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"release_id" integer NOT NULL,
	"hardware_classes" jsonb NOT NULL,
	"reason" text NOT NULL,
	"state" text NOT NULL,
	"requested_by" text NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"verdicts" jsonb NOT NULL,
	"decided_by" text,
	"decided_at" timestamp (3) with time zone,
	"decision" text
);
--> statement-breakpoint
CREATE TABLE "gate_pending" (
	"release_id" integer PRIMARY KEY NOT NULL,
	"changes" bigint NOT NULL
);
--> statement-breakpoint
CREATE TABLE "gate_policies" (
	"name" text NOT NULL,
	"version" integer NOT NULL,
	"document" jsonb,
	"created_at" timestamp (3) with time zone NOT NULL,
	"created_by" text NOT NULL,
	"note" text DEFAULT '' NOT NULL,
	CONSTRAINT "gate_policies_pk" PRIMARY KEY("name","version")
);
--> statement-breakpoint
CREATE TABLE "gate_verdicts" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "gate_verdicts_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"release_id" integer NOT NULL,
	"policy" text NOT NULL,
	"policy_version" integer NOT NULL,
	"inputs_hash" text NOT NULL,
	"at" timestamp (3) with time zone NOT NULL,
	"actor" text NOT NULL,
	"verdict" text NOT NULL,
	"inputs" jsonb NOT NULL,
	"body" jsonb NOT NULL,
	CONSTRAINT "gate_verdicts_once" UNIQUE("release_id","policy","policy_version","inputs_hash")
);
--> statement-breakpoint
CREATE TABLE "lab_benchmarks" (
	"id" text PRIMARY KEY NOT NULL,
	"release_id" integer NOT NULL,
	"device_id" text NOT NULL,
	"samples" integer NOT NULL,
	"requested_by" text NOT NULL,
	"requested_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"state" text NOT NULL,
	"code" text,
	"detail" text,
	"result_id" bigint
);
--> statement-breakpoint
ALTER TABLE "benchmark_results" ADD CONSTRAINT "benchmark_results_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "gate_grants" ADD CONSTRAINT "gate_grants_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "gate_overrides" ADD CONSTRAINT "gate_overrides_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "gate_pending" ADD CONSTRAINT "gate_pending_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "gate_verdicts" ADD CONSTRAINT "gate_verdicts_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lab_benchmarks" ADD CONSTRAINT "lab_benchmarks_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "lab_benchmarks" ADD CONSTRAINT "lab_benchmarks_result_id_benchmark_results_id_fk" FOREIGN KEY ("result_id") REFERENCES "public"."benchmark_results"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "benchmark_results_by_release" ON "benchmark_results" USING btree ("release_id","id");--> statement-breakpoint
CREATE INDEX "gate_overrides_by_release" ON "gate_overrides" USING btree ("release_id","id");--> statement-breakpoint
CREATE INDEX "gate_verdicts_by_release" ON "gate_verdicts" USING btree ("release_id","id");--> statement-breakpoint
CREATE INDEX "lab_benchmarks_by_state" ON "lab_benchmarks" USING btree ("state","device_id");