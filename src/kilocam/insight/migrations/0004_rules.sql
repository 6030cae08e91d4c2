-- What objects did by a camera's rules. Rows follow from contributions and rules alone and are
-- replaced whenever either changes, by event or, for what several do together, by minute.
create table rule_hit (
  tenant text not null,
  camera text not null,
  rule text not null,
  at timestamptz not null,
  -- The object; zeros: several together.
  event uuid not null,
  ordinal int not null,
  kind text not null,
  version int not null,
  label text not null,
  direction text,
  value double precision,
  uncertainty double precision,
  primary key (tenant, camera, rule, at, event, ordinal, kind)
) partition by range (at);
create index on rule_hit (tenant, event);
create index on rule_hit (tenant, camera, at desc);
select kilocam.secure('rule_hit');
grant select, insert, delete on rule_hit to kilocam_app;

-- Days that have events already.
select kilocam.make_partition('rule_hit'::regclass, to_date(right(c.relname, 8), 'YYYYMMDD'))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'event'::regclass and c.relname ~ '_[0-9]{8}$';

-- Names of the zones that the object was in.
alter table event add column zones text[] not null default '{}';
grant update (zones) on event to kilocam_app;
