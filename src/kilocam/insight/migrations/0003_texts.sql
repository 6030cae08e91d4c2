-- What was read and heard. It adds to events as what was seen does, each sense by itself: reading a
-- window again replaces what was read in it and nothing else.
alter table contribution
  add column sense text not null default 'seen',
  add column text text not null default '';
alter table event add column text text not null default '';

-- Stretches of a camera's sound that are listened to: everything from `start` up to `until` has been
-- heard. The live one has no end; others were left behind and are caught up.
create table hearing (
  tenant text not null,
  camera text not null,
  start timestamptz not null,
  until timestamptz not null,
  ends timestamptz,
  primary key (tenant, camera, start)
);
select kilocam.secure('hearing');
grant select, insert, update, delete on hearing to kilocam_app;
