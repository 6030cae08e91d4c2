-- How the objects of events look: of each the vector of the picture that shows it best, by the model
-- that made it. How alike two are is the cosine of their vectors, if one model made both.
create table likeness (
  tenant text not null,
  camera text not null,
  -- Of the window that the picture lies in.
  start timestamptz not null,
  event uuid not null,
  label text not null,
  model text not null,
  -- The moment of the picture.
  at timestamptz not null,
  primary key (tenant, start, event, model)
) partition by range (start);
create index on likeness (tenant, event);
select kilocam.secure('likeness');
grant select, insert, update, delete on likeness to kilocam_app;

-- A server without pgvector keeps all but this. Once it has the extension, the same statement, run
-- by hand as kilocam_owner, makes up for it.
do $$ begin
  if to_regtype('halfvec') is not null then
    alter table likeness add column vector halfvec not null;
  end if;
end $$;

-- Days that have windows already; their events have no vectors.
select kilocam.make_partition('likeness'::regclass, to_date(right(c.relname, 8), 'YYYYMMDD'))
from pg_inherits i join pg_class c on c.oid = i.inhrelid
where i.inhparent = 'window_state'::regclass and c.relname ~ '_[0-9]{8}$';
