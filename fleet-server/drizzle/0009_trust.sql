CREATE TABLE "trust_files" (
	"name" text PRIMARY KEY NOT NULL,
	"content" text NOT NULL
);
--> statement-breakpoint
CREATE TABLE "trust_revisions" (
	"id" integer PRIMARY KEY NOT NULL,
	"revision" bigint NOT NULL,
	"change" text NOT NULL,
	CONSTRAINT "trust_revisions_one_row" CHECK ("trust_revisions"."id" = 1)
);
