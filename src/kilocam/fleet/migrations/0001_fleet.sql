-- Tenants, cameras, tokens and all that ever happened to them. fleet_event is what is true; the
-- other tables are projections of it and can be made again (`FleetControl.rebuild`).

-- Append-only: event store, audit log and outbox at once. The key is the optimistic lock: of two
-- who change the same version, one is refused.
create table fleet_event (
  id bigint generated always as identity,
  tenant text not null,
  aggregate text not null,
  version int not null check (version > 0),
  kind text not null,
  data jsonb not null,
  actor text not null,
  at timestamptz not null default now(),
  primary key (tenant, aggregate, version)
);
create index on fleet_event (tenant, id);
create index on fleet_event (id);
select kilocam.secure('fleet_event');
grant select, insert (tenant, aggregate, version, kind, data, actor) on fleet_event to kilocam_app;

-- What is published says that something changed and where to look, never secrets.
create function publish_fleet_event() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp
as $$
begin
  insert into kilocam.outbox (tenant, topic, body) values (
    new.tenant, 'fleet.' || split_part(new.aggregate, '/', 1), jsonb_build_object(
      'event', new.id, 'aggregate', new.aggregate, 'version', new.version, 'kind', new.kind,
      'actor', new.actor));
  return null;
end $$;
create trigger publish after insert on fleet_event
  for each row execute function publish_fleet_event();

-- The list of tenants. Its rows belong to the installation itself (tenant = '_system').
create table tenant (
  tenant text not null,
  id text not null,
  name text not null,
  created timestamptz not null,
  primary key (tenant, id)
);
select kilocam.secure('tenant');
grant select, insert on tenant to kilocam_app;

-- Cameras as they are now. url and detect_url are shown, the sealed ones hold credentials.
create table camera (
  tenant text not null,
  id text not null,
  url text not null,
  detect_url text not null,
  sealed_url text not null,
  sealed_detect_url text not null,
  transport text not null,
  keep_us bigint check (keep_us > 0),
  enabled boolean not null,
  declared boolean not null,
  version int not null,
  created timestamptz not null,
  updated timestamptz not null,
  primary key (tenant, id)
);
select kilocam.secure('camera');
grant select, insert, update, delete on camera to kilocam_app;

-- API tokens: the hash only.
create table token (
  tenant text not null,
  id text not null,
  role text not null check (role in ('admin', 'operator', 'viewer', 'service')),
  name text not null,
  hash text not null,
  created timestamptz not null,
  expires timestamptz,
  revoked timestamptz,
  primary key (tenant, id)
);
select kilocam.secure('token');
grant select, insert, update (revoked) on token to kilocam_app;
