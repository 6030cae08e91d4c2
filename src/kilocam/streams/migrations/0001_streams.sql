-- How far each stream out was acknowledged by its receiver. `place` is a place in insight's order of
-- changes; it moves after the acknowledgement, never before.
create table stream_place (
  tenant text not null,
  stream text not null,
  place text not null,
  -- Since the stream began.
  delivered bigint not null default 0,
  letters bigint not null default 0,
  updated timestamptz not null default now(),
  primary key (tenant, stream)
);
select kilocam.secure('stream_place');
grant select, insert, update on stream_place to kilocam_app;

-- What a receiver refused for good: dead letters, kept for 30 days.
create table stream_letter (
  tenant text not null,
  stream text not null,
  place text not null,
  event text not null,
  camera text not null,
  why text not null,
  body jsonb not null,
  at timestamptz not null default now(),
  primary key (tenant, stream, place)
);
create index on stream_letter (tenant, stream, at);
select kilocam.secure('stream_letter');
grant select, insert, delete on stream_letter to kilocam_app;
