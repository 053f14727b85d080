CREATE TABLE "device_certificates" (
	"serial" text PRIMARY KEY NOT NULL,
	"device_id" text NOT NULL,
	"issued_at" timestamp (3) with time zone NOT NULL,
	"expires_at" timestamp (3) with time zone NOT NULL,
	"used_at" timestamp (3) with time zone,
	"revoked_at" timestamp (3) with time zone,
	"superseded" boolean DEFAULT false NOT NULL
);
--> statement-breakpoint
ALTER TABLE "devices" ADD COLUMN "revoked_at" timestamp (3) with time zone;--> statement-breakpoint
CREATE INDEX "device_certificates_by_device" ON "device_certificates" USING btree ("device_id");--> statement-breakpoint
ALTER TABLE "devices" DROP COLUMN "password_hash";