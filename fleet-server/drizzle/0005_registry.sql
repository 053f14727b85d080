CREATE TABLE "promotions" (
	"id" bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY (sequence name "promotions_id_seq" INCREMENT BY 1 MINVALUE 1 MAXVALUE 9223372036854775807 START WITH 1 CACHE 1),
	"at" timestamp (3) with time zone NOT NULL,
	"name" text NOT NULL,
	"version" text NOT NULL,
	"release_id" integer NOT NULL,
	"alias" text NOT NULL,
	"actor" text NOT NULL,
	"reason" text NOT NULL,
	"compared" jsonb NOT NULL,
	"missing_labels" jsonb DEFAULT '[]'::jsonb NOT NULL
);
--> statement-breakpoint
CREATE TABLE "uploads" (
	"id" text PRIMARY KEY NOT NULL,
	"home" text NOT NULL,
	"actor" text NOT NULL,
	"source" jsonb NOT NULL,
	"bytes" bigint,
	"sha256" text,
	"notes" text DEFAULT '' NOT NULL,
	"state" text NOT NULL,
	"created_at" timestamp (3) with time zone NOT NULL,
	"touched_at" timestamp (3) with time zone NOT NULL,
	"failure" jsonb,
	"release_id" integer,
	"created" boolean
);
--> statement-breakpoint
ALTER TABLE "releases" ADD COLUMN "uploaded_by" text;--> statement-breakpoint
ALTER TABLE "releases" ADD COLUMN "notes" text DEFAULT '' NOT NULL;--> statement-breakpoint
ALTER TABLE "releases" ADD COLUMN "manifest" jsonb;--> statement-breakpoint
ALTER TABLE "releases" ADD COLUMN "provenance" jsonb;--> statement-breakpoint
ALTER TABLE "promotions" ADD CONSTRAINT "promotions_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
ALTER TABLE "uploads" ADD CONSTRAINT "uploads_release_id_releases_id_fk" FOREIGN KEY ("release_id") REFERENCES "public"."releases"("id") ON DELETE no action ON UPDATE no action;--> statement-breakpoint
CREATE INDEX "promotions_by_alias" ON "promotions" USING btree ("name","alias","id");--> statement-breakpoint
CREATE INDEX "promotions_by_release" ON "promotions" USING btree ("release_id");--> statement-breakpoint
CREATE INDEX "uploads_by_home" ON "uploads" USING btree ("home","state");