-- Search among millions of events. Each index costs every writer, so there is one a question that
-- would else read all of a tenant's time.

-- A class that is rare: without it every event of the time asked for is read to find three bears.
create index on event (tenant, class, start desc, id desc);

-- Events begin at most a day before the time they are looked for in, so that only its days are
-- read; those that last longer (a parked car) are few, and found by this.
create index on event (tenant, ends) where ends - start > interval '24 hours';

-- Words of one tenant: by words alone, whoever has a hundredth of the events reads a hundred rows
-- of others for each of its own. A server without btree_gin keeps the index it has.
do $$ begin
  if exists (select from pg_opclass c join pg_am a on a.oid = c.opcmethod
             where a.amname = 'gin' and c.opcintype = 'text'::regtype and c.opcdefault) then
    create index event_tenant_document_idx on event using gin (tenant, document);
    drop index event_document_idx;
  end if;
end $$;

-- How the objects of a few cameras look: compared one by one, whatever other cameras have.
create index on likeness (tenant, camera, start);
