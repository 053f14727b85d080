import { defineConfig } from 'drizzle-kit';

export default defineConfig({ dialect: 'postgresql', schema: './src/io/database/schema/*.ts', out: './drizzle' });
