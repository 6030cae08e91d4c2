-- What analysis found. Everything but checkpoints is cut into days by UTC, so that old days are
-- dropped with their footage (`drop_days`). `start` is always in the key: it holds the day.

-- Windows that were offered: looked at, or skipped and why. One row, however often it is written.
create table window_state (
  tenant text not null,
  camera text not null,
  start timestamptz not null,
  version text not null,
  ends timestamptz not null,
  -- 'looked', or why it was skipped.
  outcome text not null,
  partition smallint not null,
  -- Where the queue told of it.
  queue_epoch bigint not null,
  queue_sequence bigint not null,
  looked timestamptz,
  -- Around what differs from the background: [x, y, w, h] as fractions.
  changed jsonb,
  -- What each stage of the cascade saw, passed on and cost.
  stages jsonb,
  primary key (tenant, camera, start, version)
) partition by range (start);
select kilocam.secure('window_state');
grant select, insert, update on window_state to kilocam_app;

-- How many windows of an hour came to which outcome. Kept in the transaction that changes
-- window_state, so both always agree; counting that many rows on demand would be too slow.
create table window_count (
  tenant text not null,
  camera text not null,
  hour timestamptz not null,
  version text not null,
  outcome text not null,
  partition smallint not null,
  windows bigint not null,
  -- Start of the newest of them.
  last timestamptz not null,
  primary key (tenant, camera, hour, version, outcome)
) partition by range (hour);
create index on window_count (tenant, hour);
select kilocam.secure('window_count');
grant select, insert, update on window_count to kilocam_app;

-- What one window adds to one event. An event is nothing but the fold of these.
create table contribution (
  tenant text not null,
  camera text not null,
  start timestamptz not null,
  event uuid not null,
  label text not null,
  still boolean not null,
  first timestamptz not null,
  last timestamptz not null,
  -- The moment it was seen most clearly in this window.
  best timestamptz not null,
  score double precision not null,
  box jsonb not null,
  -- Every sight: [[microseconds, score, [x, y, w, h]], …].
  sights jsonb not null,
  primary key (tenant, camera, start, event)
) partition by range (start);
create index on contribution (tenant, event);
select kilocam.secure('contribution');
grant select, insert, delete on contribution to kilocam_app;

-- Events, made again from their contributions whenever one of those changes.
create table event (
  tenant text not null,
  id uuid not null,
  start timestamptz not null,
  ends timestamptz not null,
  camera text not null,
  class text not null,
  still boolean not null,
  score double precision not null,
  box jsonb not null,
  best timestamptz not null,
  -- The transaction that made this row. Readers of changes take what lies below the oldest open
  -- transaction, so nothing can appear behind them.
  changed bigint not null default pg_current_xact_id()::text::bigint,
  -- What search looks through.
  words text not null,
  document tsvector not null generated always as (to_tsvector('english', words)) stored,
  primary key (tenant, id, start)
) partition by range (start);
create index on event (tenant, start desc, id desc);
create index on event (tenant, camera, start desc, id desc);
create index on event (tenant, changed, id);
create index on event using gin (document);
select kilocam.secure('event');
grant select, insert, delete on event to kilocam_app;

-- How far each partition of the queue is analysed. A partition holds cameras of many tenants, so
-- this belongs to the installation itself (tenant = '_system') and says nothing of any tenant.
create table checkpoint (
  tenant text not null,
  partition smallint not null,
  version text not null,
  position text not null,
  updated timestamptz not null default now(),
  primary key (tenant, partition, version)
);
select kilocam.secure('checkpoint');
grant select, insert, update on checkpoint to kilocam_app;

-- Whose windows were met in a partition, so that whoever takes it over knows whom to ask.
create table partition_tenant (
  tenant text not null,
  partition smallint not null,
  member text not null,
  primary key (tenant, partition, member)
);
select kilocam.secure('partition_tenant');
grant select, insert on partition_tenant to kilocam_app;

-- Drops the daily partitions of a table that end at or before a day; gives their names.
create function drop_days(parent regclass, before date) returns setof text
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
  part record;
begin
  for part in
    select c.oid::regclass::text as name from pg_inherits i join pg_class c on c.oid = i.inhrelid
    where i.inhparent = parent and c.relname ~ '_[0-9]{8}$'
      and to_date(right(c.relname, 8), 'YYYYMMDD') < before
    order by 1
  loop
    execute format('drop table %s', part.name);
    return next part.name;
  end loop;
end $$;
revoke execute on function drop_days from public;
grant execute on function drop_days to kilocam_migrate;
