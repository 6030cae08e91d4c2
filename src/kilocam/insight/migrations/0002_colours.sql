-- The colours of what was seen, words separated by spaces, the largest first.
alter table contribution add column colours text not null default '';
alter table event add column colours text not null default '';
