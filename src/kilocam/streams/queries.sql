-- name: place
-- How far a stream was acknowledged; no row: it has not begun.
select place, delivered, letters from stream_place where tenant = $1 and stream = $2;

-- name: begin
-- A stream begins; one that has begun stays where it is.
insert into stream_place (tenant, stream, place) values ($1, $2, $3)
on conflict (tenant, stream) do nothing;

-- name: move
-- What came up to a place was acknowledged; nothing where somebody else moved it meanwhile.
update stream_place set place = $4, delivered = delivered + $5, letters = letters + $6,
  updated = now()
where tenant = $1 and stream = $2 and place = $3 returning true;

-- name: put_letter
-- What the receiver refused for good.
insert into stream_letter (tenant, stream, place, event, camera, why, body)
values ($1, $2, $3, $4, $5, $6, $7)
on conflict (tenant, stream, place) do nothing;

-- name: forget_letters
-- Old dead letters go.
delete from stream_letter where tenant = $1 and stream = $2 and at < now() - interval '30 days';

-- name: standings
-- Every stream of a tenant that has begun.
select stream as name, delivered, letters, updated as updated_us from stream_place
where tenant = $1 order by stream;

-- name: letters
-- The newest dead letters of a stream.
select place, event, camera, why, body, at as at_us from stream_letter
where tenant = $1 and stream = $2 order by at desc, place desc limit $3;
