-- How much sooner than others a camera is looked at where time is short.
alter table camera add weight double precision not null default 1 check (weight > 0);
