-- The fencing token, checked where the data is: whoever writes says under which reign of the
-- election it believes the primary to be, and a server that was promoted under another refuses.
--
--   begin; select synod_guard('catalog/primary', 41); ...; commit;

create table synod_reigns (
  election text primary key,
  token bigint not null,
  since timestamptz not null default now()
);

-- `synod-pg promote` calls it on the new primary. A token that does not grow is refused.
create function synod_reign(of_election text, with_token bigint) returns void
language plpgsql as $$
begin
  insert into synod_reigns as reign values (of_election, with_token)
    on conflict (election) do update set token = excluded.token, since = excluded.since
    where reign.token <= excluded.token;
  if not found then
    raise exception 'token % of % is not the latest: this server has seen a later reign',
      with_token, of_election using errcode = '42501';
  end if;
end $$;

-- Whoever writes calls it first, in the same transaction.
create function synod_guard(of_election text, with_token bigint) returns void
language plpgsql stable as $$
declare
  latest bigint;
begin
  select token into latest from synod_reigns where election = of_election;
  if latest is distinct from with_token then
    raise exception 'this server is the primary of % under token %, and not under %',
      of_election, coalesce(latest::text, 'none'), with_token using errcode = '42501';
  end if;
end $$;
