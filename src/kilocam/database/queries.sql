-- name: placement
-- Where the proven tenant lives; the policy leaves at most its own row.
select region, shard, mode, epoch from kilocam.directory where tenant = $1;

-- name: place
-- Places a new tenant; one that is placed stays where it is.
insert into kilocam.directory (tenant, region, shard, mode) values ($1, $2, $3, $4)
on conflict (tenant) do nothing;

-- name: own_schemas
-- Tenants with a schema of their own; control only.
select tenant, region, shard, mode, epoch from kilocam.directory
where mode = 'schema' order by tenant;

-- name: context_key
-- Makes the installation's key the only one that proofs are checked with.
insert into kilocam.context_key (id, inner_pad, outer_pad) values ($1, $2, $3)
on conflict (id) do nothing;

-- name: forget_other_context_keys
-- Proofs signed with any other key are void from here on.
delete from kilocam.context_key where id <> $1;

-- name: make_partition
-- The partition of one day (a date as text) of a table in the search path, closed like its parent.
select kilocam.make_partition(to_regclass($1), $2::text::date)::text;

-- name: outbox_tenants
-- Whose rows are among the oldest 1000, oldest first.
select tenant from (select id, tenant from kilocam.outbox order by id limit 1000) w
group by tenant order by min(id);

-- name: outbox_own
-- Those of the tenants that nobody else owns, ours until the transaction ends. Another drainer
-- leaves them alone, so order within a tenant holds. Unlike a row's lock it needs no transaction
-- number, which would hold up whoever reads changes in order.
select tenant from unnest($1::text[]) tenant
where pg_try_advisory_xact_lock(hashtextextended('outbox/' || tenant, 0));

-- name: outbox_rows
-- The oldest rows of the tenants owned.
select id, tenant, topic, body, created as created_us from kilocam.outbox
where tenant = any($1) order by id limit $2;

-- name: outbox_done
-- Rows that were published leave.
delete from kilocam.outbox where id = any($1);

-- name: outbox_waiting
-- How many rows wait and since when the oldest does; for metrics.
select count(*) as waiting, min(created) as oldest_us from kilocam.outbox;

-- name: exposed
-- Tables the app can touch, or that are parts of such, which are not closed as kilocam.secure()
-- closes them; and parts that carry a grant of their own. Empty when all is well.
with recursive ours as (
  select c.oid, c.relname, n.nspname, c.relrowsecurity, c.relforcerowsecurity, c.relispartition
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm', 'v', 'f') and n.nspname ~ '^kilocam(_|$)'
), touched as (
  select *, has_table_privilege('kilocam_app', oid, 'select, insert, update, delete, truncate')
    or has_any_column_privilege('kilocam_app', oid, 'select, insert, update') as granted
  from ours
)
select format('%I.%I', nspname, relname) as name,
  case
    when relispartition and granted then 'the app has a grant on a partition'
    when not relrowsecurity then 'row security is off'
    when not relforcerowsecurity then 'row security is not forced on the owner'
    else 'its policies are not those that kilocam.secure() makes'
  end as why
from touched t
where (granted or relispartition) and (
  (relispartition and granted) or not relrowsecurity or not relforcerowsecurity
  or (select count(*) from pg_policy p where p.polrelid = t.oid) <> 2
  or not exists (
    select from pg_policy p where p.polrelid = t.oid and p.polname = 'tenant_only'
      and p.polcmd = '*' and p.polroles = array['kilocam_app'::regrole::oid]
      and pg_get_expr(p.polqual, p.polrelid) = pg_get_expr(p.polwithcheck, p.polrelid)
      and regexp_replace(pg_get_expr(p.polqual, p.polrelid), '\s+', ' ', 'g')
        in ('(tenant = ( SELECT kilocam.tenant() AS tenant))',
            '(tenant = ( SELECT tenant() AS tenant))'))
  or not exists (
    select from pg_policy p where p.polrelid = t.oid and p.polname = 'control'
      and p.polroles = array['kilocam_migrate'::regrole::oid]))
order by 1;

-- name: look_in
-- Where a session looks for tables, for as long as it lasts.
select set_config('search_path', $1, false);

-- name: sizes
-- Bytes on disk of the tables of a schema, days summed up: rows with what lies outside of them, and
-- indexes.
select coalesce(parent.relname, c.relname)::text as name,
  sum(pg_table_size(c.oid))::bigint as rows, sum(pg_indexes_size(c.oid))::bigint as indexes
from pg_class c join pg_namespace n on n.oid = c.relnamespace
  left join pg_inherits i on i.inhrelid = c.oid left join pg_class parent on parent.oid = i.inhparent
where c.relkind = 'r' and n.nspname = $1 group by 1 order by 1;
