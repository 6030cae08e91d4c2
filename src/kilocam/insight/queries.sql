-- name: hold
-- Windows of one tenant in one partition are written one transaction after the other: what is
-- counted is what was changed.
select pg_advisory_xact_lock(hashtextextended($1::text || '/' || partition, 0))
from unnest($2::smallint[]) partition;

-- name: put_looked
-- A window was looked at, and counts so, once. What it added so far by what was seen goes; gives
-- the events that lose something.
with before as (
  select outcome from window_state
  where tenant = $1 and camera = $2 and start = $3 and version = $4
), put as (
  insert into window_state (tenant, camera, start, version, ends, outcome, partition, queue_epoch,
    queue_sequence, looked, changed, stages)
  values ($1, $2, $3, $4, $5, 'looked', $6, $7, $8, $9, $10, $11)
  on conflict (tenant, camera, start, version) do update set ends = excluded.ends,
    outcome = excluded.outcome, queue_epoch = excluded.queue_epoch,
    queue_sequence = excluded.queue_sequence, looked = excluded.looked,
    changed = excluded.changed, stages = excluded.stages
), counted as (
  insert into window_count (tenant, camera, hour, version, outcome, partition, windows, last)
  select $1, $2, date_trunc('hour', $3::timestamptz, 'UTC'), $4, outcome, $6, more, $3
  from (select 'looked' as outcome, 1 as more union all select outcome, -1 from before) each
  where not exists (select from before where outcome = 'looked')
  on conflict (tenant, camera, hour, version, outcome) do update set
    windows = window_count.windows + excluded.windows,
    last = greatest(window_count.last, excluded.last)
)
delete from contribution where tenant = $1 and camera = $2 and start = $3 and sense = 'seen'
returning event::text as id;

-- name: note
-- Windows were looked at and nothing was seen: noted and counted, but for those known already;
-- gives the new ones. One JSON text of all is made in less time than one of each.
with put as (
  insert into window_state (tenant, camera, start, version, ends, outcome, partition, queue_epoch,
    queue_sequence, looked, changed, stages)
  select $1, camera, start, version, ends, 'looked', partition, epoch, sequence, looked,
    nullif(changed, 'null'), stages
  from rows from (unnest($2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[],
    $6::smallint[], $7::bigint[], $8::bigint[], $9::timestamptz[]),
    jsonb_array_elements($10::jsonb), jsonb_array_elements($11::jsonb))
    each (camera, start, version, ends, partition, epoch, sequence, looked, changed, stages)
  on conflict (tenant, camera, start, version) do nothing
  returning camera, start, version, partition
), counted as (
  insert into window_count (tenant, camera, hour, version, outcome, partition, windows, last)
  select $1, camera, date_trunc('hour', start, 'UTC') as hour, version, 'looked', min(partition),
    count(*), max(start)
  from put group by camera, hour, version
  order by camera, hour, version
  on conflict (tenant, camera, hour, version, outcome) do update set
    windows = window_count.windows + excluded.windows,
    last = greatest(window_count.last, excluded.last)
)
select camera, start as start_us from put;

-- name: skip
-- Windows were not looked at: noted and counted once; what is known already stays as it is.
with put as (
  insert into window_state (tenant, camera, start, version, ends, outcome, partition, queue_epoch,
    queue_sequence)
  select $1, each.* from unnest($2::text[], $3::timestamptz[], $4::text[], $5::timestamptz[],
    $6::text[], $7::smallint[], $8::bigint[], $9::bigint[]) each
  on conflict (tenant, camera, start, version) do nothing
  returning camera, start, version, outcome, partition
)
insert into window_count (tenant, camera, hour, version, outcome, partition, windows, last)
select $1, camera, date_trunc('hour', start, 'UTC') as hour, version, outcome, min(partition),
  count(*), max(start)
from put group by camera, hour, version, outcome
order by camera, hour, version, outcome
on conflict (tenant, camera, hour, version, outcome) do update set
  windows = window_count.windows + excluded.windows,
  last = greatest(window_count.last, excluded.last);

-- name: drop_contributions
-- What a window added so far by one sense goes; gives the events that lose something.
delete from contribution where tenant = $1 and camera = $2 and start = $3 and sense = $4
returning event::text as id;

-- name: put_contribution
-- What a window adds to one event.
insert into contribution (tenant, camera, start, sense, event, label, still, first, last, best, score,
  box, sights, colours, text)
values ($1, $2, $3, $4, $5::text::uuid, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15);

-- name: known
-- Those of some events to which something was added already.
select distinct event::text as id from contribution
where tenant = $1 and event = any($2::text[]::uuid[]);

-- name: put_contributions
-- What many windows of one tenant add to events by one sense.
insert into contribution (tenant, camera, start, sense, event, label, still, first, last, best, score,
  box, sights, colours, text)
select $1, camera, start, $2, event, label, still, first, last, best, score, box, sights, colours,
  text
from rows from (unnest($3::text[], $4::timestamptz[], $5::text[]::uuid[], $6::text[], $7::bool[],
  $8::timestamptz[], $9::timestamptz[], $10::timestamptz[], $11::float8[]),
  jsonb_array_elements($12::jsonb), jsonb_array_elements($13::jsonb), unnest($14::text[], $15::text[]))
  each (camera, start, event, label, still, first, last, best, score, box, sights, colours, text);

-- name: drop_events
-- Events that are about to be made again.
delete from event where tenant = $1 and id = any($2::text[]::uuid[])
returning id::text as id, start as start_us, ends as end_us, class as label, score, camera,
  box, best as best_us, colours, text, description, described_by;

-- name: fold_events
-- Events out of their contributions: label, colours and stillness as last seen (or told), the
-- picture as best seen, the text as best read, zones as their hits say. What was said of them is
-- handed in again. Of new events it is known that all that was added lies between two moments ($6, $7)
-- and that nothing was found by rules yet: other days are not looked through.
insert into event (tenant, id, start, ends, camera, class, still, score, box, best, colours, text,
  description, described_by, words, zones)
select tenant, event, min(first), max(last), camera, (array_agg(label order by start desc))[1],
  (array_agg(still order by start desc))[1], max(score),
  (array_agg(box order by score desc, best))[1], (array_agg(best order by score desc, best))[1],
  coalesce((array_agg(colours order by start desc) filter (where colours <> ''))[1], ''),
  (array_agg(text order by score desc, best))[1], coalesce(said, ''), coalesce(by, ''),
  concat_ws(' ', (array_agg(colours order by start desc) filter (where colours <> ''))[1],
    (array_agg(label order by start desc))[1], camera,
    nullif((array_agg(text order by score desc, best))[1], ''), said),
  case when $6::timestamptz is null then
    array(select distinct h.rule from rule_hit h
      where h.tenant = $1 and h.event = contribution.event and h.kind = 'zone' order by h.rule)
    else '{}' end
from contribution
  left join unnest($3::text[]::uuid[], $4::text[], $5::text[]) as told (id, said, by) on id = event
where tenant = $1 and event = any($2::text[]::uuid[])
  and start >= coalesce($6::timestamptz, '-infinity') and start <= coalesce($7::timestamptz, 'infinity')
group by tenant, event, camera, said, by
returning id::text as id, start as start_us, ends as end_us, class as label, score, camera,
  box, best as best_us, colours, text, description, described_by;

-- name: tell
-- What changed, to be published by control's relay.
insert into kilocam.outbox (tenant, topic, body)
select $1, $2, body from jsonb_array_elements($3) body;

-- name: tell_of_cameras
-- What changed of many cameras, to be published by control's relay; the topic ends with the camera.
insert into kilocam.outbox (tenant, topic, body)
select $1, $2 || '.' || (body->>'camera'), body from jsonb_array_elements($3) body;

-- name: put_checkpoint
-- All windows of some partitions up to their positions are settled.
insert into checkpoint (tenant, partition, version, position)
select $1, partition, $2, position from unnest($3::smallint[], $4::text[]) each (partition, position)
order by partition
on conflict (tenant, partition, version) do update set position = excluded.position,
  updated = now();

-- name: checkpoint
-- How far a partition is settled.
select position from checkpoint where tenant = $1 and partition = $2 and version = $3;

-- name: put_member
-- A tenant's windows were met in a partition.
insert into partition_tenant (tenant, partition, member) values ($1, $2, $3)
on conflict do nothing;

-- name: members
-- Whose windows were met in a partition.
select member from partition_tenant where tenant = $1 and partition = $2 order by member;

-- name: settled
-- Windows of a partition that are settled, of late. The few rows of counts name its cameras.
select camera, start as start_us, queue_epoch, queue_sequence from window_state
where tenant = $1 and version = $3 and start >= $4 and camera in (
  select camera from window_count where tenant = $1 and partition = $2
    and hour >= date_trunc('hour', $4::timestamptz, 'UTC'));

-- name: events
-- A page of events, newest first, after the last one of the page before: of those that began since
-- $11, and of those before that last over a day.
select id::text as id, start as start_us, ends as end_us, camera, class as label, still, score,
  box, best as best_us, colours, text, description, described_by, zones, changed from (
  (select * from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and ($6::text is null or document @@ websearch_to_tsquery('english', $6))
    and ($7::timestamptz is null or (start, id) < ($7, $8::text::uuid))
    and ($9::text[] is null or zones && $9)
    and ($11::timestamptz is null or start >= $11)
  order by start desc, id desc limit $10)
  union all
  (select * from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and ($6::text is null or document @@ websearch_to_tsquery('english', $6))
    and ($7::timestamptz is null or (start, id) < ($7, $8::text::uuid))
    and ($9::text[] is null or zones && $9)
    and start < $11 and ends - start > interval '24 hours'
  order by start desc, id desc limit $10)
) each
order by start desc, id desc limit $10;

-- name: event
-- One event.
select id::text as id, start as start_us, ends as end_us, camera, class as label, still, score,
  box, best as best_us, colours, text, description, described_by, zones, changed from event
where tenant = $1 and id = $2::text::uuid order by start limit 1;

-- name: sights
-- Every sight of one event, in order of time, by window.
select sights from contribution where tenant = $1 and event = $2::text::uuid order by start;

-- name: now_at
-- Every change that is committed lies below this transaction; none will appear there any more.
select pg_snapshot_xmin(pg_current_snapshot())::text::bigint;

-- name: changes
-- Events made or made again after a change, in the order of changes.
select id::text as id, start as start_us, ends as end_us, camera, class as label, still, score,
  box, best as best_us, colours, text, description, described_by, zones, changed from event
where tenant = $1 and (changed, id) > ($2::bigint, $3::text::uuid)
  and changed < pg_snapshot_xmin(pg_current_snapshot())::text::bigint
order by changed, id limit $4;

-- name: withdraw
-- Events that were told of are gone.
insert into withdrawal (tenant, id, start, camera, class)
select $1, each.* from unnest($2::text[]::uuid[], $3::timestamptz[], $4::text[], $5::text[]) each
on conflict (tenant, id, start) do update set changed = excluded.changed, class = excluded.class;

-- name: withdrawals
-- Events withdrawn after a change and before a transaction, in the order of changes.
select id::text as id, start as start_us, camera, class as label, changed from withdrawal
where tenant = $1 and (changed, id) > ($2::bigint, $3::text::uuid) and changed < $4
order by changed, id limit $5;

-- name: cameras
-- Cameras of which windows were offered since a time: from each the next one by the key, as a month
-- has thousands of rows of each.
with recursive known (camera) as (
  (select camera from window_count where tenant = $1 and hour >= $2 order by camera limit 1)
  union all
  select (select camera from window_count where tenant = $1 and hour >= $2
          and camera > known.camera order by camera limit 1)
  from known where known.camera is not null
)
select camera from known where camera is not null;

-- name: seen
-- Those of some cameras of which there is an event or an account of windows, of any age.
select asked.camera from unnest($2::text[]) as asked(camera)
where exists (select from event e where e.tenant = $1 and e.camera = asked.camera)
  or exists (select from window_count c where c.tenant = $1 and c.camera = asked.camera);

-- name: counts
-- Windows by camera and outcome since the hour a time lies in.
select camera, outcome, sum(windows)::bigint as windows, max(last) as last_us from window_count
where tenant = $1 and hour >= date_trunc('hour', $2::timestamptz, 'UTC')
  and ($3::text[] is null or camera = any($3))
group by camera, outcome order by camera, outcome;

-- name: stages
-- What the stages of the cascade saw, by camera, since the hour a time lies in.
select camera, stage, sum(seen)::bigint as seen, sum(passed)::bigint as passed,
  sum(cost_us)::bigint as cost_us
from stage_count
where tenant = $1 and hour >= date_trunc('hour', $2::timestamptz, 'UTC')
  and ($3::text[] is null or camera = any($3))
group by camera, stage order by camera, stage;

-- name: plan_each_time
-- What follows in this transaction is planned for its own values: only then are days of another
-- time left out, and indexes of one tenant's vectors found. Of an index over vectors so many
-- candidates are kept.
select set_config('plan_cache_mode', 'force_custom_plan', true),
  set_config('hnsw.ef_search', '100', true);

-- name: plan_once
-- What follows may be planned once for all values, as the server thinks best.
select set_config('plan_cache_mode', 'auto', true);

-- name: search_words
-- Of the newest events that fit filters and hold one of the words those that answer most of a
-- question and are surest (`Query.score`); with the words that each holds.
with asked as materialized (
  select word, plainto_tsquery('english', word) as wanted from unnest($6::text[]) word
)
select id::text as id, start as start_us, matched from (
  select id, start, score, array(select word from asked where document @@ wanted) as matched
  from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and ($7::timestamptz is null or start >= $7)
    and document @@ websearch_to_tsquery('english', $8)
  order by start desc limit $9
) newest
order by round((($10 + cardinality(matched))::float8 / $11 * (0.5 + 0.5 * least(score, 1)))::numeric, 4)
  desc, start desc, id limit $12;

-- name: search_others
-- The same for the newest that hold none of the words; without words ($7 is null) for all.
select id::text as id, start as start_us, '{}'::text[] as matched from (
  select id, start, score from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and ($6::timestamptz is null or start >= $6)
    and ($7::text is null or not document @@ websearch_to_tsquery('english', $7))
  order by start desc limit $8
) newest
order by round((0.5 + 0.5 * least(score, 1))::numeric, 4) desc, start desc, id limit $9;

-- name: search_lasting
-- The same for events that began before the day ($6) that the others are looked for from, and last
-- over a day.
with asked as materialized (
  select word, plainto_tsquery('english', word) as wanted from unnest($7::text[]) word
)
select id::text as id, start as start_us, matched from (
  select id, start, score, array(select word from asked where document @@ wanted) as matched
  from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and start < $6 and ends - start > interval '24 hours'
  order by start desc limit $8
) newest
where not $9 or matched <> '{}'
order by round((($10 + cardinality(matched))::float8 / $11 * (0.5 + 0.5 * least(score, 1)))::numeric, 4)
  desc, start desc, id limit $12;

-- name: found
-- Events by their ids, each of which begins between two moments: of each row only their days are
-- looked through.
select id::text as id, start as start_us, ends as end_us, camera, class as label, still, score,
  box, best as best_us, colours, text, description, described_by, zones, changed
from unnest($2::text[]::uuid[], $3::timestamptz[], $4::timestamptz[]) as asked (event, since, until)
  join event on tenant = $1 and id = asked.event and start >= since and start <= until;

-- name: meant
-- Of some words those that full text looks for at all: not "out", not "very".
select word from unnest($1::text[]) word where numnode(plainto_tsquery('english', word)) > 0;

-- name: search_like
-- The same for classes, cameras and texts that are misspelt (or misread), among the newest events that fit the filters; pg_trgm.
select *, '{}'::text[] as matched from (
  select id::text as id, start as start_us, ends as end_us, camera, class as label, still, score,
    box, best as best_us, colours, text, description, described_by, zones, changed
  from event
  where tenant = $1 and ($2::text[] is null or camera = any($2))
    and ($3::text[] is null or class = any($3))
    and ($4::timestamptz is null or ends >= $4) and ($5::timestamptz is null or start < $5)
    and ($8::timestamptz is null or start >= $8)
  order by start desc limit $7
) newest
where exists (select from unnest($6::text[]) word
  where word_similarity(word, concat_ws(' ', label, camera, text)) >= 0.5)
order by start_us desc;

-- name: has_trigrams
-- Whether the server has pg_trgm.
select exists (select from pg_extension where extname = 'pg_trgm');

-- name: has_vectors
-- Whether vectors can be kept: the server had pgvector when the tables were made.
select exists (select from pg_attribute
  where attrelid = to_regclass('likeness') and attname = 'vector' and not attisdropped);

-- name: drop_likeness
-- How the objects of events look goes, by one model or (null) by all.
delete from likeness where tenant = $1 and event = any($2::text[]::uuid[])
  and ($3::text is null or model = $3);

-- name: put_likeness
-- How an event's object looks.
insert into likeness (tenant, camera, start, event, label, model, at, vector)
values ($1, $2, $3, $4::text::uuid, $5, $6, $7, $8::text::halfvec)
on conflict (tenant, start, event, model) do update set label = excluded.label,
  at = excluded.at, vector = excluded.vector;

-- name: likeness
-- How an event's object looks, by the model that was asked last.
select model, vector::text as vector from likeness
where tenant = $1 and event = $2::text::uuid order by at desc, model limit 1;

-- name: similar
-- The events whose objects look most like a vector, by the same model. `halfvec(0)` stands for the
-- length of its vectors: an index has one. A day that has an index for the tenant's vectors by this
-- model (`closing.py`) is asked by it, of others every vector is compared.
select event::text as id, min(start) as start_us, min(distance) as distance from (
  select event, start, vector::halfvec(0) <=> $2::text::halfvec(0) as distance from likeness
  where tenant = $1 and model = $3 and ($4::text is null or event <> $4::text::uuid)
    and ($5::text[] is null or label = any($5)) and start >= $6 and start < $7
    and ($8::text[] is null or camera = any($8))
  order by vector::halfvec(0) <=> $2::text::halfvec(0) limit $9
) near group by event order by distance, event;

-- name: put_likenesses
-- How the objects of many events look.
insert into likeness (tenant, camera, start, event, label, model, at, vector)
select $1, camera, start, event, label, model, at, vector::halfvec
from unnest($2::text[], $3::timestamptz[], $4::text[]::uuid[], $5::text[], $6::text[],
  $7::timestamptz[], $8::text[]) each (camera, start, event, label, model, at, vector)
on conflict (tenant, start, event, model) do update set label = excluded.label,
  at = excluded.at, vector = excluded.vector;

-- name: try_to_own
-- Whether a work is ours for as long as the session lasts.
select pg_try_advisory_lock($1);

-- name: tidy_modestly
-- What is built in this session takes so much memory and one core at most.
select set_config('maintenance_work_mem', $1, false),
  set_config('max_parallel_maintenance_workers', '0', false);

-- name: is_tidied
-- Whether a table was vacuumed since a time; nothing where there is no such table.
select coalesce(last_vacuum > $2, false) from pg_stat_user_tables where relid = to_regclass($1);

-- name: crowds
-- Tenants that have many vectors by one model within a time; control only.
select tenant, model from likeness where start >= $1 and start < $2
group by tenant, model having count(*) >= $3 order by tenant, model;

-- name: vector_length
-- How long a tenant's vectors by one model are; control only.
select vector_dims(vector) from likeness
where tenant = $1 and model = $2 and start >= $3 and start < $4 limit 1;

-- name: is_index_whole
-- Whether an index was built to its end; nothing where there is none.
select indisvalid from pg_index where indexrelid = to_regclass($1);

-- name: vector_index
-- The statement that makes an index over a tenant's vectors of a day by one model, beside writers.
select format('create index concurrently %I on %I using hnsw ((vector::halfvec(%s)) '
  'halfvec_cosine_ops) where tenant = %L and model = %L', $1::text, $2::text, $3::int, $4::text,
  $5::text);

-- name: drop_days
-- Old days go; control only.
select drop_days(to_regclass($1), $2::text::date);

-- name: has_day
-- Whether a day's partition was made, and the last migration's table: control has prepared the
-- database.
select to_regclass($1) is not null and to_regclass('withdrawal') is not null;

-- name: stretches
-- Stretches of a camera's sound that are open.
select start as start_us, until as until_us, ends as ends_us from hearing
where tenant = $1 and camera = $2 order by start;

-- name: end_stretch
-- The live stretch that began then ends here; what it has not come to is caught up.
update hearing set ends = greatest(until, $3)
where tenant = $1 and camera = $2 and ends is null and start = $4;

-- name: begin_stretch
-- A new live stretch, where there is none.
insert into hearing (tenant, camera, start, until)
select $1, $2, $3::timestamptz, $3::timestamptz
where not exists (select from hearing where tenant = $1 and camera = $2 and ends is null)
on conflict (tenant, camera, start) do update set ends = null;

-- name: move_stretch
-- A stretch was heard further, by whoever knows how far it was heard.
update hearing set until = $5
where tenant = $1 and camera = $2 and start = $3 and until <= $4
  and (ends is null or $5 <= ends) returning true;

-- name: note_silence
-- Stretches were heard further, and there was nothing in them.
update hearing set until = each.until
from unnest($2::text[], $3::timestamptz[], $4::timestamptz[]) each (camera, start, until)
where hearing.tenant = $1 and hearing.camera = each.camera and hearing.start = each.start
  and hearing.until < each.until;

-- name: drop_stretches
-- What ended and is heard needs no more attention.
delete from hearing where tenant = $1 and camera = $2 and until >= ends;

-- name: undescribed
-- Whether an event is there and nobody has described it.
select true from event where tenant = $1 and id = $2::text::uuid and description = '';

-- name: reserve_description
-- One more description of a day, within its budget; nothing where it is spent.
insert into description_budget (tenant, day, asked) values ($1, $2::date, 1)
on conflict (tenant, day) do update set asked = description_budget.asked + 1
where description_budget.asked < $3 returning asked;

-- name: return_description
-- What was reserved was not asked for.
update description_budget set asked = asked - 1
where tenant = $1 and day = $2::date and asked > 0;

-- name: forget_budgets
-- What was asked for on days long gone.
delete from description_budget where tenant = $1 and day < $2::date - 7;

-- name: describe
-- What a model says of an event, once; gives the event as it is now.
update event set description = $3, described_by = $4, words = words || ' ' || $3,
  changed = pg_current_xact_id()::text::bigint
where tenant = $1 and id = $2::text::uuid and description = ''
returning id::text as id, start as start_us, ends as end_us, class as label, score, camera,
  box, best as best_us, colours, text, description, described_by;
