-- The ground of every room's tables: who the tenant is, how a table is closed to all others,
-- how daily partitions are made, where a tenant lives, what waits to be published.
-- Runs as kilocam_owner with search_path = kilocam.

-- Keys that check proofs of a tenant (RFC 2104, padded). No grant: only tenant() reads it.
create table context_key (
  id text primary key,
  inner_pad bytea not null,
  outer_pad bytea not null
);

-- The tenant that this transaction has proven, or null without one. A claim without a valid proof
-- is an error, not an empty answer: a wrong key or clock must be seen.
-- Each condition is written so that null means "not valid".
create function tenant() returns text
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp
as $$
declare
  claimed constant text := nullif(current_setting('kilocam.tenant', true), '');
  proof constant text[] := string_to_array(current_setting('kilocam.proof', true), '.');
  key kilocam.context_key;
begin
  if claimed is null then
    return null;
  end if;
  select * into key from kilocam.context_key where id = proof[1];
  if (array_length(proof, 1) = 3 and proof[2] ~ '^[0-9]{1,12}$'
      and proof[3] = encode(sha256(key.outer_pad || sha256(
        key.inner_pad || convert_to(claimed || '.' || proof[2], 'UTF8'))), 'hex')) is not true
  then
    raise exception using errcode = 'insufficient_privilege',
      message = 'the tenant of this transaction is not proven';
  end if;
  if (proof[2]::bigint >= extract(epoch from now())) is not true then
    raise exception using errcode = 'insufficient_privilege',
      message = 'the proof of this transaction''s tenant has expired: '
        'the clocks of this machine and of the database differ';
  end if;
  return claimed;
end $$;

-- Closes a table to all but the tenant of each row. FORCE: the owner too is held by policies.
-- (select …) makes the planner ask once a statement instead of once a row.
create function secure(closed regclass) returns void
language plpgsql set search_path = pg_catalog, pg_temp
as $$
declare
  column_number constant int2 := attnum from pg_attribute
    where attrelid = closed and attname = 'tenant' and attnotnull and not attisdropped;
begin
  if column_number is null then
    raise exception '% has no column "tenant text not null"', closed;
  end if;
  execute format('alter table %s enable row level security', closed);
  execute format('alter table %s force row level security', closed);
  execute format('create policy tenant_only on %s to kilocam_app'
    ' using (tenant = (select kilocam.tenant()))'
    ' with check (tenant = (select kilocam.tenant()))', closed);
  execute format('create policy control on %s to kilocam_migrate'
    ' using (true) with check (true)', closed);
  if not exists (select from pg_index where indrelid = closed and indkey[0] = column_number) then
    execute format('create index on %s (tenant)', closed);
  end if;
end $$;
revoke execute on function secure from public;

-- Makes the partition of one UTC day and closes it like its parent. Nobody is granted anything on
-- it: a partition asked by its name is not held by its parent's policy.
create function make_partition(parent regclass, day date) returns regclass
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  parent_name name;
  parent_schema name;
  made text;
begin
  select c.relname, n.nspname into strict parent_name, parent_schema
    from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = parent;
  made := format('%I.%I', parent_schema, parent_name || to_char(day, '"_"YYYYMMDD'));
  if to_regclass(made) is null then
    execute format('create table %s partition of %s for values from (%L) to (%L)', made, parent,
      to_char(day, 'YYYY-MM-DD"T00:00:00Z"'), to_char(day + 1, 'YYYY-MM-DD"T00:00:00Z"'));
    perform kilocam.secure(made::regclass);
  end if;
  return made::regclass;
end $$;
revoke execute on function make_partition from public;
grant execute on function make_partition to kilocam_migrate;

-- Where a tenant lives. An app may add its own tenant; only control moves one, raising the epoch.
create table directory (
  tenant text primary key,
  region text not null,
  shard text not null,
  mode text not null check (mode in ('rows', 'schema', 'database')),
  epoch bigint not null default 1,
  created timestamptz not null default now()
);
select secure('directory');
grant select, insert (tenant, region, shard, mode) on directory to kilocam_app;

-- What was committed and is yet to be published; rows leave when they are.
create table outbox (
  id bigint generated always as identity primary key,
  tenant text not null,
  topic text not null,
  body jsonb not null,
  created timestamptz not null default now()
);
create index on outbox (tenant, id);
select secure('outbox');
grant insert (tenant, topic, body) on outbox to kilocam_app;

create function wake_outbox() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  perform pg_notify('kilocam_outbox', '');
  return null;
end $$;
create trigger wake after insert on outbox for each statement execute function wake_outbox();
