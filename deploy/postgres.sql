-- The role that Claviger connects as, and its database; the image of PostgreSQL runs it once. The role is no superuser: row-level security,
-- the second net between tenants, holds for nobody who is. Its password stands here because this is for trying out.
CREATE ROLE claviger LOGIN NOSUPERUSER NOBYPASSRLS PASSWORD 'claviger';
CREATE DATABASE claviger OWNER claviger;
