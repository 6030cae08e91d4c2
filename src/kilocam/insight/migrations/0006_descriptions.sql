-- What a vision-language model says of an event, and which model. It may be wrong, so it never
-- stands without its author; empty: nothing was asked.
alter table event
  add column description text not null default '',
  add column described_by text not null default '';
grant update (description, described_by, words, changed) on event to kilocam_app;

-- How many descriptions a tenant has asked for on a UTC day: counted before asking, so that neither
-- restarts nor several analysts spend more than its budget.
create table description_budget (
  tenant text not null,
  day date not null,
  asked int not null,
  primary key (tenant, day)
);
select kilocam.secure('description_budget');
grant select, insert, update, delete on description_budget to kilocam_app;
