-- Events that were told of and are gone, as a second look did not see them: whoever keeps a copy
-- takes them out. One row an event, in the order of changes, dropped with its day.
create table withdrawal (
  tenant text not null,
  id uuid not null,
  start timestamptz not null,
  camera text not null,
  class text not null,
  -- The transaction that withdrew it; as in `event`.
  changed bigint not null default pg_current_xact_id()::text::bigint,
  primary key (tenant, id, start)
) partition by range (start);
create index on withdrawal (tenant, changed, id);
select kilocam.secure('withdrawal');
grant select, insert, update on withdrawal to kilocam_app;

-- Days that have events already.
select kilocam.make_partition('withdrawal'::regclass, to_date(right(c.relname, 8), 'YYYYMMDD'))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'event'::regclass and c.relname ~ '_[0-9]{8}$';
