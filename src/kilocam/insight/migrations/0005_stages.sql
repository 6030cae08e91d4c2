-- What the stages of the cascade saw, passed on and cost in an hour, summed over what
-- window_state.stages has of each window. Kept by triggers in the statement that changes
-- window_state, so both always agree, however often a window is written.
create table stage_count (
  tenant text not null,
  camera text not null,
  hour timestamptz not null,
  version text not null,
  stage text not null,
  seen bigint not null,
  passed bigint not null,
  cost_us bigint not null,
  primary key (tenant, camera, hour, version, stage)
) partition by range (hour);
create index on stage_count (tenant, hour);
select kilocam.secure('stage_count');
grant select, insert, update on stage_count to kilocam_app;

-- Days that have windows already; what was looked at before this migration is not counted.
select kilocam.make_partition('stage_count'::regclass, to_date(right(c.relname, 8), 'YYYYMMDD'))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'window_state'::regclass and c.relname ~ '_[0-9]{8}$';

-- Runs as the app that writes, within its tenant. In the order of the key, so that writers who
-- touch the same rows wait for each other and never in a circle.
create function add_stages() returns trigger language plpgsql as $$
begin
  insert into stage_count (tenant, camera, hour, version, stage, seen, passed, cost_us)
  select tenant, camera, date_trunc('hour', start, 'UTC') as hour, version, stage.key,
    sum((stage.value->>0)::bigint), sum((stage.value->>1)::bigint), sum((stage.value->>2)::bigint)
  from added, jsonb_each(stages) stage
  group by tenant, camera, hour, version, stage.key
  order by tenant, camera, hour, version, stage.key
  on conflict (tenant, camera, hour, version, stage) do update set
    seen = stage_count.seen + excluded.seen,
    passed = stage_count.passed + excluded.passed,
    cost_us = stage_count.cost_us + excluded.cost_us;
  return null;
end $$;
create function take_stages() returns trigger language plpgsql as $$
begin
  update stage_count set
    seen = stage_count.seen - gone.seen,
    passed = stage_count.passed - gone.passed,
    cost_us = stage_count.cost_us - gone.cost_us
  from (
    select tenant, camera, date_trunc('hour', start, 'UTC') as hour, version, stage.key as stage,
      sum((stage.value->>0)::bigint) as seen, sum((stage.value->>1)::bigint) as passed,
      sum((stage.value->>2)::bigint) as cost_us
    from removed, jsonb_each(stages) stage
    group by tenant, camera, hour, version, stage.key
  ) gone
  where stage_count.tenant = gone.tenant and stage_count.camera = gone.camera
    and stage_count.hour = gone.hour and stage_count.version = gone.version
    and stage_count.stage = gone.stage;
  return null;
end $$;
create trigger add_stages after insert on window_state
  referencing new table as added for each statement execute function add_stages();
create trigger add_stages_again after update on window_state
  referencing new table as added for each statement execute function add_stages();
create trigger take_stages after update on window_state
  referencing old table as removed for each statement execute function take_stages();
