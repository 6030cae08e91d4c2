-- Rules of cameras as they are now; projected from fleet_event like all here.
create table rule (
  tenant text not null,
  camera text not null,
  name text not null,
  definition jsonb not null,
  version int not null,
  updated timestamptz not null,
  primary key (tenant, camera, name)
);
select kilocam.secure('rule');
grant select, insert, update, delete on rule to kilocam_app;
