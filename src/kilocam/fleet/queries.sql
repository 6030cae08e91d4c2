-- name: append_event
-- Notes what happened. The primary key refuses a version that is taken.
insert into fleet_event (tenant, aggregate, version, kind, data, actor)
values ($1, $2, $3, $4, $5, $6)
returning id, at as at_us;

-- name: last_version
-- The newest version of an aggregate; 0 when nothing ever happened to it.
select coalesce(max(version), 0) from fleet_event where tenant = $1 and aggregate = $2;

-- name: events_before
-- The newest events of a tenant older than an id; for the audit log.
select id, tenant, aggregate, version, kind, data, actor, at as at_us from fleet_event
where tenant = $1 and id < $2 and ($3::text is null or aggregate = $3)
order by id desc limit $4;

-- name: events_after
-- Events of all tenants in the order they happened; control rebuilds projections from them.
select id, tenant, aggregate, version, kind, data, actor, at as at_us from fleet_event
where id > $1 order by id limit $2;

-- name: hold_projections
-- Nobody changes a projection while all of them are made again.
lock table tenant, camera, token, rule in exclusive mode;

-- name: clear_tenants
-- Part of rebuilding.
delete from tenant;

-- name: clear_cameras
-- Part of rebuilding.
delete from camera;

-- name: clear_tokens
-- Part of rebuilding.
delete from token;

-- name: clear_rules
-- Part of rebuilding.
delete from rule;

-- name: put_tenant
-- Projection of tenant_added.
insert into tenant (tenant, id, name, created) values ($1, $2, $3, $4);

-- name: tenants
-- A page of tenants by id.
select id, name, created as created_us from tenant
where tenant = $1 and id > $2 order by id limit $3;

-- name: put_camera
-- Projection of camera_added and camera_changed.
insert into camera (tenant, id, url, detect_url, sealed_url, sealed_detect_url, transport, keep_us,
  enabled, declared, version, created, updated, weight)
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13)
on conflict (tenant, id) do update set url = excluded.url, detect_url = excluded.detect_url,
  sealed_url = excluded.sealed_url, sealed_detect_url = excluded.sealed_detect_url,
  transport = excluded.transport, keep_us = excluded.keep_us, enabled = excluded.enabled,
  declared = excluded.declared, version = excluded.version, updated = excluded.updated,
  weight = excluded.weight;

-- name: drop_camera
-- Projection of camera_removed.
delete from camera where tenant = $1 and id = $2;

-- name: has_camera
-- Whether there is a camera.
select 1 from camera where tenant = $1 and id = $2;

-- name: camera
-- One camera, held until the transaction ends.
select tenant, id, url, detect_url, sealed_url, sealed_detect_url, transport, keep_us, enabled,
  weight, declared, version, created as created_us, updated as updated_us
from camera where tenant = $1 and id = $2 for update;

-- name: cameras
-- A page of cameras by id.
select tenant, id, url, detect_url, sealed_url, sealed_detect_url, transport, keep_us, enabled,
  weight, declared, version, created as created_us, updated as updated_us
from camera where tenant = $1 and id > $2 order by id limit $3;

-- name: weights
-- Cameras of the tenant that are looked at sooner or later than others.
select id, weight from camera where weight <> 1;

-- name: declared_cameras
-- Ids of the tenant's cameras that once stood in the configuration file.
select id from camera where tenant = $1 and declared order by id;

-- name: tenants_with_declared_cameras
-- Control only: where cameras may have vanished from the configuration file.
select distinct tenant from camera where declared order by tenant;

-- name: enabled_cameras
-- Control only: what recorders are to record.
select tenant, id, sealed_url, sealed_detect_url, transport, keep_us, version
from camera where enabled order by tenant, id;

-- name: put_rule
-- Projection of rule_put.
insert into rule (tenant, camera, name, definition, version, updated)
values ($1, $2, $3, $4, $5, $6)
on conflict (tenant, camera, name) do update set definition = excluded.definition,
  version = excluded.version, updated = excluded.updated;

-- name: drop_rule
-- Projection of rule_removed.
delete from rule where tenant = $1 and camera = $2 and name = $3;

-- name: rules
-- The rules of one camera by name.
select camera, name, definition, version, updated as updated_us from rule
where tenant = $1 and camera = $2 order by name;

-- name: put_token
-- Projection of token_created.
insert into token (tenant, id, role, name, hash, created, expires)
values ($1, $2, $3, $4, $5, $6, $7);

-- name: revoke_token
-- Projection of token_revoked.
update token set revoked = $3 where tenant = $1 and id = $2;

-- name: token
-- One token with the hash of its secret.
select tenant, id, role, name, hash, created as created_us, expires as expires_us,
  revoked as revoked_us
from token where tenant = $1 and id = $2;

-- name: tokens
-- A page of tokens by id.
select tenant, id, role, name, created as created_us, expires as expires_us, revoked as revoked_us
from token where tenant = $1 and id > $2 order by id limit $3;
