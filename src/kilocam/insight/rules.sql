-- name: sights_of
-- Every sight of some events, window by window; rules look at what was seen alone.
select event::text as event, label, sights from contribution
where tenant = $1 and event = any($2::text[]::uuid[]) and sense = 'seen'
order by event, start;

-- name: sights_between
-- Every sight of a camera in windows that touch a stretch of time; a window lasts under a minute.
-- Nothing where none of them is of a label that is asked for (most often there is no bag).
with near as (
  select event, start, label, sights from contribution
  where tenant = $1 and camera = $2 and start > $3::timestamptz - interval '1 minute'
    and start <= $4 and first <= $4 and last >= $3 and sense = 'seen')
select event::text as event, label, sights from near
where $5::text[] is null or exists (select from near n where n.label = any($5))
order by near.event, start;

-- name: drop_hits_of
-- What some events did by some rules goes, but for what they did together with others.
delete from rule_hit where tenant = $1 and event = any($2::text[]::uuid[])
  and kind <> all($3::text[]) and rule = any($4::text[]);

-- name: drop_hits_between
-- What was found of a rule in [from, to) goes.
delete from rule_hit where tenant = $1 and camera = $2 and rule = $3 and at >= $4 and at < $5;

-- name: drop_hits_of_other_kinds
-- The rule is of another kind now than when it found these.
delete from rule_hit where tenant = $1 and camera = $2 and rule = $3 and kind <> $4
  and at >= $5 and at < $6;

-- name: put_hit
-- Something did what a rule waits for.
insert into rule_hit (tenant, camera, rule, at, event, ordinal, kind, version, label, direction,
  value, uncertainty)
values ($1, $2, $3, $4, $5::text::uuid, $6, $7, $8, $9, $10, $11, $12);

-- name: put_zones
-- Which zones events were in, as their hits say.
update event set zones = found.zones from (
  select e.id, array(select distinct h.rule from rule_hit h where h.tenant = $1 and h.event = e.id
    and h.kind = 'zone' order by h.rule) as zones
  from unnest($2::text[]::uuid[]) as e(id)) found
where event.tenant = $1 and event.id = found.id and event.zones <> found.zones;

-- name: events_between
-- Some events of a camera that touch a stretch of time, from a place on in the order of ids.
select id::text as id from event
where tenant = $1 and camera = $2 and start < $4 and ends >= $3 and id > $5::text::uuid
order by id limit $6;

-- name: hits
-- A page of what rules found on a camera, newest first, after the last one of the page before.
select rule, at as at_us, nullif(event, '00000000-0000-0000-0000-000000000000')::text as event,
  ordinal, kind, version, label, direction, value, uncertainty
from rule_hit
where tenant = $1 and camera = $2 and ($3::text is null or rule = $3)
  and ($4::timestamptz is null or at >= $4) and ($5::timestamptz is null or at < $5)
  and ($6::timestamptz is null or (at, rule, event, ordinal) < ($6, $7::text, $8::text::uuid, $9::int))
order by at desc, rule desc, event desc, ordinal desc limit $10;

-- name: count_hits
-- How often rules of a camera found something in [from, to), by direction and class.
select rule, kind, direction, label, count(*) as hits from rule_hit
where tenant = $1 and camera = $2 and ($3::text is null or rule = $3) and at >= $4 and at < $5
group by rule, kind, direction, label order by rule, kind, direction, label;
