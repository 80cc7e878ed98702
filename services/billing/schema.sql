CREATE SCHEMA billing;

CREATE FUNCTION billing.drop_day_partitions(inbox_before date, outbox_before date) RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'billing'
    AS $$
DECLARE
    child record;
    pending boolean;
    dropped integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(current_schema() || ':partitions'));
    FOR child IN
        SELECT c.relname AS name, p.relname AS parent,
               to_date(right(c.relname, 8), 'YYYYMMDD') AS day
        FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid
        JOIN pg_class p ON p.oid = i.inhparent
        WHERE p.oid IN ('inbox'::regclass, 'outbox'::regclass)
    LOOP
        IF child.parent = 'inbox' AND child.day >= inbox_before THEN CONTINUE; END IF;
        IF child.parent = 'outbox' THEN
            IF child.day >= outbox_before THEN CONTINUE; END IF;
            -- A row nobody published yet keeps its whole day.
            EXECUTE format('SELECT EXISTS (SELECT FROM %I WHERE published_at IS NULL)', child.name)
                INTO pending;
            IF pending THEN CONTINUE; END IF;
        END IF;
        EXECUTE format('DROP TABLE %I', child.name);
        dropped := dropped + 1;
    END LOOP;
    RETURN dropped;
END $$;

CREATE FUNCTION billing.ensure_day_partitions(inbox_first date, outbox_first date, last_day date) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO 'billing'
    AS $$
DECLARE
    parent text;
    child text;
    day date;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtext(current_schema() || ':partitions'));
    FOREACH parent IN ARRAY ARRAY['inbox', 'outbox'] LOOP
        day := CASE parent WHEN 'inbox' THEN inbox_first ELSE outbox_first END;
        WHILE day <= last_day LOOP
            child := parent || '_' || to_char(day, 'YYYYMMDD');
            IF to_regclass(quote_ident(child)) IS NULL THEN
                EXECUTE format('CREATE TABLE %I (LIKE %I INCLUDING DEFAULTS)', child, parent);
                EXECUTE format('ALTER TABLE %I ATTACH PARTITION %I FOR VALUES FROM (%L) TO (%L)',
                               parent, child, day, day + 1);
            END IF;
            day := day + 1;
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION billing.refuse_change() RETURNS trigger
    LANGUAGE plpgsql
    AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
END $$;

CREATE TABLE billing.access_grants (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    subscription_id uuid NOT NULL,
    until timestamp with time zone NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    revoked_at timestamp with time zone
);

CREATE TABLE billing.accounts (
    user_id bigint NOT NULL,
    available bigint NOT NULL,
    held bigint NOT NULL,
    debt bigint NOT NULL,
    in_flight integer NOT NULL,
    transfers integer NOT NULL,
    lots_opened integer NOT NULL,
    tier text NOT NULL,
    tier_until timestamp with time zone,
    tier_version integer NOT NULL,
    trial_renews_at timestamp with time zone,
    deep_link text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    referral_code text,
    CONSTRAINT accounts_available_check CHECK ((available >= 0)),
    CONSTRAINT accounts_debt_check CHECK ((debt >= 0)),
    CONSTRAINT accounts_held_check CHECK ((held >= 0)),
    CONSTRAINT accounts_in_flight_check CHECK ((in_flight >= 0)),
    CONSTRAINT accounts_lots_opened_check CHECK ((lots_opened >= 0)),
    CONSTRAINT accounts_tier_check CHECK ((tier = ANY (ARRAY['none'::text, 'vip'::text, 'black_gold'::text]))),
    CONSTRAINT accounts_tier_version_check CHECK ((tier_version >= 0)),
    CONSTRAINT accounts_transfers_check CHECK ((transfers >= 0)),
    CONSTRAINT accounts_user_id_check CHECK ((user_id > 0)),
    CONSTRAINT debt_is_paid_first CHECK (((debt = 0) OR (available = 0)))
)
WITH (fillfactor='70');

CREATE TABLE billing.adjustments (
    adjustment_id uuid NOT NULL,
    user_id bigint NOT NULL,
    credits integer NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    approved_by text DEFAULT ''::text NOT NULL,
    debt_credits integer DEFAULT 0 NOT NULL,
    adjusted_at timestamp with time zone NOT NULL,
    CONSTRAINT adjustments_credits_check CHECK ((credits <> 0)),
    CONSTRAINT nobody_approves_alone CHECK ((approved_by <> actor))
);

CREATE TABLE billing.aggregate_versions (
    aggregate text NOT NULL,
    version bigint NOT NULL,
    seen_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.alone_days (
    person text NOT NULL,
    day date NOT NULL,
    credits bigint NOT NULL,
    CONSTRAINT alone_days_credits_check CHECK ((credits >= 0))
);

CREATE TABLE billing.charges (
    provider text NOT NULL,
    charge_id text NOT NULL,
    payment_id uuid,
    user_id bigint NOT NULL,
    product_id text NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    paid_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    reason text DEFAULT ''::text NOT NULL,
    actor text DEFAULT ''::text NOT NULL,
    credits integer NOT NULL,
    bonus_credits integer DEFAULT 0 NOT NULL,
    lot integer,
    bonus_lot integer,
    tier text DEFAULT ''::text NOT NULL,
    tier_from timestamp with time zone,
    tier_until timestamp with time zone,
    tier_replaced text DEFAULT ''::text NOT NULL,
    taken jsonb DEFAULT '[]'::jsonb NOT NULL,
    debt_credits integer DEFAULT 0 NOT NULL,
    taken_seconds bigint DEFAULT 0 NOT NULL,
    late boolean DEFAULT false NOT NULL,
    recurring boolean DEFAULT false NOT NULL,
    settled_at timestamp with time zone,
    traceparent text DEFAULT ''::text NOT NULL,
    refunded_minor bigint DEFAULT 0 NOT NULL,
    refunding_minor bigint DEFAULT 0 NOT NULL,
    kept_parts integer DEFAULT 0 NOT NULL,
    kept_debt integer DEFAULT 0 NOT NULL,
    CONSTRAINT charges_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT charges_charge_id_check CHECK (((length(charge_id) >= 1) AND (length(charge_id) <= 200))),
    CONSTRAINT charges_check CHECK (((bonus_credits >= 0) AND (bonus_credits <= credits))),
    CONSTRAINT charges_credits_check CHECK ((credits >= 0)),
    CONSTRAINT charges_debt_credits_check CHECK ((debt_credits >= 0)),
    CONSTRAINT charges_state_check CHECK ((state = ANY (ARRAY['review'::text, 'paid'::text, 'refunding'::text, 'refunded'::text, 'charged_back'::text, 'rejected'::text]))),
    CONSTRAINT charges_taken_seconds_check CHECK ((taken_seconds >= 0)),
    CONSTRAINT charges_user_id_check CHECK ((user_id >= 0)),
    CONSTRAINT charges_version_check CHECK ((version > 0)),
    CONSTRAINT no_more_goes_back_than_came CHECK (((refunded_minor >= 0) AND (refunding_minor >= 0) AND ((refunded_minor + refunding_minor) <= amount_minor) AND ((refunding_minor > 0) = (state = 'refunding'::text)))),
    CONSTRAINT nobody_is_credited CHECK (((user_id > 0) OR ((lot IS NULL) AND (tier = ''::text)))),
    CONSTRAINT paid_ones_have_a_payment_or_a_person CHECK (((state <> 'paid'::text) OR (payment_id IS NOT NULL) OR (actor <> ''::text)))
)
WITH (fillfactor='80');

CREATE TABLE billing.discounts (
    user_id bigint NOT NULL,
    discount_key text NOT NULL,
    percent integer NOT NULL,
    valid_until timestamp with time zone NOT NULL,
    order_id uuid,
    created_at timestamp with time zone NOT NULL,
    CONSTRAINT discounts_percent_check CHECK (((percent >= 1) AND (percent <= 100)))
)
WITH (fillfactor='70');

CREATE TABLE billing.draw_days (
    day date NOT NULL,
    seed bytea NOT NULL,
    commitment text NOT NULL,
    made_at timestamp with time zone NOT NULL,
    CONSTRAINT draw_days_seed_check CHECK ((length(seed) = 32))
);

CREATE TABLE billing.draws (
    user_id bigint NOT NULL,
    day date NOT NULL,
    prize text NOT NULL,
    percent integer NOT NULL,
    drawn_at timestamp with time zone NOT NULL,
    CONSTRAINT draws_prize_check CHECK ((prize = ANY (ARRAY['SSR'::text, 'SR'::text, 'R'::text, 'C'::text])))
);

CREATE TABLE billing.effects (
    key text NOT NULL,
    kind text NOT NULL,
    body bytea NOT NULL,
    traceparent text NOT NULL,
    due_at timestamp with time zone NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    ambiguous boolean DEFAULT false NOT NULL,
    leased_until timestamp with time zone,
    state text DEFAULT 'due'::text NOT NULL,
    last_reason text DEFAULT ''::text NOT NULL,
    settled_at timestamp with time zone,
    about text,
    attempts_before integer DEFAULT 0 NOT NULL,
    CONSTRAINT effects_attempts_check CHECK ((attempts >= 0)),
    CONSTRAINT effects_state_check CHECK ((state = ANY (ARRAY['due'::text, 'done'::text, 'failed'::text]))),
    CONSTRAINT settled_ones_say_when CHECK (((state = 'due'::text) = (settled_at IS NULL)))
);

CREATE TABLE billing.gifts (
    gift_id uuid NOT NULL,
    code text NOT NULL,
    giver_id bigint NOT NULL,
    credits integer NOT NULL,
    parts jsonb NOT NULL,
    state text NOT NULL,
    opened_by bigint,
    made_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT gifts_credits_check CHECK ((credits > 0)),
    CONSTRAINT gifts_state_check CHECK ((state = ANY (ARRAY['waiting'::text, 'opened'::text, 'returned'::text]))),
    CONSTRAINT opened_by_somebody_else CHECK (((opened_by IS NULL) OR (opened_by <> giver_id))),
    CONSTRAINT opened_ones_have_an_owner CHECK (((state = 'opened'::text) = (opened_by IS NOT NULL)))
);

CREATE TABLE billing.grants (
    grant_key text NOT NULL,
    user_id bigint NOT NULL,
    lot integer NOT NULL,
    kind text NOT NULL,
    credits integer NOT NULL,
    expires_at timestamp with time zone,
    reason text NOT NULL,
    actor text NOT NULL,
    granted_at timestamp with time zone NOT NULL,
    CONSTRAINT grants_credits_check CHECK ((credits > 0)),
    CONSTRAINT grants_grant_key_check CHECK (((length(grant_key) >= 1) AND (length(grant_key) <= 260)))
);

CREATE TABLE billing.holds (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    amount integer NOT NULL,
    parts jsonb NOT NULL,
    quota_day date,
    expires_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    CONSTRAINT holds_amount_check CHECK ((amount >= 0)),
    CONSTRAINT holds_state_check CHECK ((state = ANY (ARRAY['pending'::text, 'posted'::text, 'voided'::text, 'expired'::text])))
);

CREATE TABLE billing.inbox (
    day date NOT NULL,
    id uuid NOT NULL
)
PARTITION BY RANGE (day);

CREATE TABLE billing.lots (
    user_id bigint NOT NULL,
    number integer NOT NULL,
    kind text NOT NULL,
    granted integer NOT NULL,
    remaining integer NOT NULL,
    expires_at timestamp with time zone,
    state text NOT NULL,
    expiry_told boolean DEFAULT false NOT NULL,
    CONSTRAINT lots_check CHECK (((remaining >= 0) AND (remaining <= granted))),
    CONSTRAINT lots_granted_check CHECK ((granted > 0)),
    CONSTRAINT lots_kind_check CHECK ((kind = ANY (ARRAY['trial'::text, 'bonus'::text, 'paid'::text]))),
    CONSTRAINT lots_number_check CHECK ((number > 0)),
    CONSTRAINT lots_state_check CHECK ((state = ANY (ARRAY['open'::text, 'expired'::text, 'revoked'::text]))),
    CONSTRAINT only_open_lots_hold CHECK (((state = 'open'::text) OR (remaining = 0)))
)
WITH (fillfactor='70');

CREATE TABLE billing.operator_actions (
    number bigint NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    subject_id text NOT NULL,
    detail jsonb DEFAULT '{}'::jsonb NOT NULL,
    dry_run boolean NOT NULL,
    outcome text NOT NULL,
    acted_at timestamp with time zone NOT NULL
);

ALTER TABLE billing.operator_actions ALTER COLUMN number ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME billing.operator_actions_number_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE billing.order_refunds (
    refund_id uuid NOT NULL,
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    credits integer NOT NULL,
    debt_paid_credits integer NOT NULL,
    reason text NOT NULL,
    actor text NOT NULL,
    approved_by text NOT NULL,
    refunded_at timestamp with time zone NOT NULL,
    CONSTRAINT nobody_approves_alone CHECK ((approved_by <> actor)),
    CONSTRAINT order_refunds_actor_check CHECK ((actor <> ''::text)),
    CONSTRAINT order_refunds_check CHECK (((debt_paid_credits >= 0) AND (debt_paid_credits <= credits))),
    CONSTRAINT order_refunds_credits_check CHECK ((credits > 0)),
    CONSTRAINT order_refunds_reason_check CHECK ((reason <> ''::text))
);

CREATE TABLE billing.orders (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    catalogue_version integer NOT NULL,
    price_credits integer NOT NULL,
    digest bytea NOT NULL,
    pool text NOT NULL,
    lane text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    reason text NOT NULL,
    placed_at timestamp with time zone NOT NULL,
    start_before timestamp with time zone,
    traceparent text NOT NULL,
    cancel_requested boolean DEFAULT false NOT NULL,
    gift boolean DEFAULT false NOT NULL,
    server text,
    started_at timestamp with time zone,
    finished_at timestamp with time zone,
    outputs bytea,
    deliver_due_at timestamp with time zone,
    deliver_asked integer DEFAULT 0 NOT NULL,
    delivered_at timestamp with time zone,
    delivery_message_id bigint,
    delivery_reason text,
    base_price_credits integer,
    discount_percent integer DEFAULT 0 NOT NULL,
    CONSTRAINT discounts_are_exact CHECK (((base_price_credits IS NULL) OR (price_credits = (base_price_credits - (((base_price_credits)::bigint * discount_percent) / 100))))),
    CONSTRAINT gifts_were_not_charged CHECK (((NOT gift) OR (state = 'refunded'::text))),
    CONSTRAINT orders_discount_percent_check CHECK (((discount_percent >= 0) AND (discount_percent <= 100))),
    CONSTRAINT orders_state_check CHECK ((state = ANY (ARRAY['accepted'::text, 'running'::text, 'completed'::text, 'refunded'::text, 'refused'::text]))),
    CONSTRAINT orders_version_check CHECK ((version > 0)),
    CONSTRAINT results_belong_to_ends CHECK (((outputs IS NULL) OR (state = 'completed'::text) OR ((state = 'refunded'::text) AND gift)))
)
WITH (fillfactor='80');

CREATE TABLE billing.outbox (
    day date NOT NULL,
    id uuid NOT NULL,
    subject text NOT NULL,
    headers text NOT NULL,
    body bytea NOT NULL,
    published_at timestamp with time zone
)
PARTITION BY RANGE (day);

CREATE TABLE billing.parked (
    id uuid NOT NULL,
    stream text NOT NULL,
    consumer text NOT NULL,
    subject text NOT NULL,
    headers jsonb NOT NULL,
    body bytea NOT NULL,
    reason text NOT NULL,
    traceparent text NOT NULL,
    parked_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    redriven_at timestamp with time zone,
    redriven_by text,
    CONSTRAINT parked_state_check CHECK ((state = ANY (ARRAY['parked'::text, 'fresh'::text, 'done'::text])))
);

CREATE TABLE billing.payments (
    payment_id uuid NOT NULL,
    user_id bigint NOT NULL,
    provider text NOT NULL,
    product text NOT NULL,
    product_id text NOT NULL,
    credits integer NOT NULL,
    bonus_credits integer NOT NULL,
    amount_minor bigint NOT NULL,
    currency text NOT NULL,
    state text NOT NULL,
    version integer NOT NULL,
    provider_ref text,
    pay_url text DEFAULT ''::text NOT NULL,
    order_id uuid,
    reason text DEFAULT ''::text NOT NULL,
    created_at timestamp with time zone NOT NULL,
    expires_at timestamp with time zone,
    checked_at timestamp with time zone,
    check_due_at timestamp with time zone,
    traceparent text DEFAULT ''::text NOT NULL,
    CONSTRAINT payments_amount_minor_check CHECK ((amount_minor > 0)),
    CONSTRAINT payments_bonus_credits_check CHECK ((bonus_credits >= 0)),
    CONSTRAINT payments_credits_check CHECK ((credits >= 0)),
    CONSTRAINT payments_product_check CHECK ((product = ANY (ARRAY['pack'::text, 'plan'::text]))),
    CONSTRAINT payments_state_check CHECK ((state = ANY (ARRAY['created'::text, 'pending'::text, 'paid'::text, 'expired'::text, 'cancelled'::text, 'failed'::text]))),
    CONSTRAINT payments_user_id_check CHECK ((user_id > 0)),
    CONSTRAINT payments_version_check CHECK ((version > 0)),
    CONSTRAINT pending_ones_are_known_there CHECK (((state <> 'pending'::text) OR (provider_ref IS NOT NULL)))
)
WITH (fillfactor='80');

CREATE TABLE billing.plan_purchases (
    order_id uuid NOT NULL,
    user_id bigint NOT NULL,
    plan_id text NOT NULL,
    digest bytea NOT NULL,
    charged_credits integer NOT NULL,
    until timestamp with time zone NOT NULL,
    bought_at timestamp with time zone NOT NULL,
    CONSTRAINT plan_purchases_charged_credits_check CHECK ((charged_credits > 0))
);

CREATE TABLE billing.promo_misses (
    user_id bigint NOT NULL,
    missed_at timestamp with time zone[] NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE billing.promo_uses (
    code text NOT NULL,
    user_id bigint NOT NULL,
    used_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.promos (
    code text NOT NULL,
    kind text NOT NULL,
    value integer NOT NULL,
    tier text DEFAULT ''::text NOT NULL,
    uses_max integer NOT NULL,
    used integer DEFAULT 0 NOT NULL,
    newcomers_only boolean DEFAULT false NOT NULL,
    lot_days integer DEFAULT 0 NOT NULL,
    starts_at timestamp with time zone,
    ends_at timestamp with time zone,
    saved_by text NOT NULL,
    saved_at timestamp with time zone NOT NULL,
    CONSTRAINT never_used_too_often CHECK (((used >= 0) AND ((uses_max = 0) OR (used <= uses_max)))),
    CONSTRAINT promos_check CHECK (((value > 0) AND ((kind <> 'discount'::text) OR (value <= 100)))),
    CONSTRAINT promos_code_check CHECK (((code = upper(code)) AND ((length(code) >= 3) AND (length(code) <= 40)))),
    CONSTRAINT promos_kind_check CHECK ((kind = ANY (ARRAY['credits'::text, 'discount'::text, 'tier'::text]))),
    CONSTRAINT promos_lot_days_check CHECK ((lot_days >= 0)),
    CONSTRAINT promos_uses_max_check CHECK ((uses_max >= 0))
)
WITH (fillfactor='80');

CREATE TABLE billing.provider_events (
    provider text NOT NULL,
    event_key text NOT NULL,
    way text NOT NULL,
    body bytea NOT NULL,
    received_at timestamp with time zone NOT NULL,
    handled_at timestamp with time zone,
    outcome text DEFAULT ''::text NOT NULL,
    CONSTRAINT provider_events_event_key_check CHECK (((length(event_key) >= 1) AND (length(event_key) <= 300))),
    CONSTRAINT provider_events_way_check CHECK ((way = ANY (ARRAY['webhook'::text, 'poll'::text, 'chat'::text, 'statement'::text])))
);

CREATE TABLE billing.providers (
    provider text NOT NULL,
    cursor text DEFAULT ''::text NOT NULL,
    suspended_reason text DEFAULT ''::text NOT NULL,
    webhook_seen_at timestamp with time zone,
    polled_first integer DEFAULT 0 NOT NULL,
    reconciled_at timestamp with time zone
);

CREATE TABLE billing.quotas (
    user_id bigint NOT NULL,
    workflow_id text NOT NULL,
    day date NOT NULL,
    used integer NOT NULL,
    CONSTRAINT quotas_used_check CHECK ((used >= 0))
)
WITH (fillfactor='70');

CREATE TABLE billing.referral_rewards (
    provider text NOT NULL,
    charge_id text NOT NULL,
    referrer_id bigint NOT NULL,
    newcomer_id bigint NOT NULL,
    credits integer NOT NULL,
    due_at timestamp with time zone NOT NULL,
    state text NOT NULL,
    CONSTRAINT referral_rewards_credits_check CHECK ((credits > 0)),
    CONSTRAINT referral_rewards_state_check CHECK ((state = ANY (ARRAY['held'::text, 'credited'::text, 'cancelled'::text])))
);

CREATE TABLE billing.referrals (
    newcomer_id bigint NOT NULL,
    referrer_id bigint NOT NULL,
    joined_at timestamp with time zone NOT NULL,
    payments_counted integer DEFAULT 0 NOT NULL,
    CONSTRAINT nobody_refers_themselves CHECK ((newcomer_id <> referrer_id))
);

CREATE TABLE billing.schema_version (
    number integer NOT NULL,
    key text NOT NULL,
    digest text NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE billing.seals (
    number bigint NOT NULL,
    up_to xid8 NOT NULL,
    transfers bigint NOT NULL,
    digest bytea NOT NULL,
    sealed_at timestamp with time zone NOT NULL,
    CONSTRAINT seals_digest_check CHECK ((length(digest) = 32)),
    CONSTRAINT seals_number_check CHECK ((number > 0)),
    CONSTRAINT seals_transfers_check CHECK ((transfers > 0))
);

CREATE TABLE billing.starts (
    id uuid NOT NULL,
    count integer NOT NULL,
    last_at timestamp with time zone NOT NULL,
    CONSTRAINT starts_count_check CHECK ((count > 0))
);

CREATE TABLE billing.subscriptions (
    charge_id text NOT NULL,
    user_id bigint NOT NULL,
    plan_id text NOT NULL,
    payment_id uuid NOT NULL,
    state text NOT NULL,
    until timestamp with time zone NOT NULL,
    version integer NOT NULL,
    CONSTRAINT subscriptions_state_check CHECK ((state = ANY (ARRAY['active'::text, 'cancelled'::text, 'ended'::text]))),
    CONSTRAINT subscriptions_version_check CHECK ((version > 0))
);

CREATE TABLE billing.tier_changes (
    user_id bigint NOT NULL,
    version integer NOT NULL,
    tier text NOT NULL,
    until timestamp with time zone,
    reason text NOT NULL,
    actor text NOT NULL,
    changed_at timestamp with time zone NOT NULL
);

CREATE TABLE billing.tier_steps (
    user_id bigint NOT NULL,
    version integer NOT NULL,
    tier text NOT NULL,
    given_at timestamp with time zone NOT NULL,
    span interval,
    at_least timestamp with time zone,
    since timestamp with time zone NOT NULL,
    until timestamp with time zone,
    withdrawn boolean DEFAULT false NOT NULL,
    CONSTRAINT tier_steps_tier_check CHECK ((tier = ANY (ARRAY['none'::text, 'vip'::text, 'black_gold'::text]))),
    CONSTRAINT tier_steps_version_check CHECK ((version >= 0))
);

CREATE TABLE billing.transfers (
    user_id bigint NOT NULL,
    number integer NOT NULL,
    lot integer NOT NULL,
    amount integer NOT NULL,
    debit text NOT NULL,
    credit text NOT NULL,
    kind text NOT NULL,
    order_id uuid,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    written_in xid8 DEFAULT pg_current_xact_id() NOT NULL,
    CONSTRAINT transfers_amount_check CHECK ((amount > 0)),
    CONSTRAINT transfers_check CHECK ((credit <> debit)),
    CONSTRAINT transfers_kind_check CHECK ((kind = ANY (ARRAY['hold'::text, 'post'::text, 'void'::text, 'expire'::text, 'grant'::text, 'trial'::text, 'revoke'::text, 'restore'::text, 'adjust'::text, 'plan'::text, 'gift'::text, 'gift_back'::text, 'credit_back'::text]))),
    CONSTRAINT transfers_number_check CHECK ((number > 0))
);

ALTER TABLE ONLY billing.access_grants
    ADD CONSTRAINT access_grants_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.accounts
    ADD CONSTRAINT accounts_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY billing.accounts
    ADD CONSTRAINT accounts_referral_code_key UNIQUE (referral_code);

ALTER TABLE ONLY billing.adjustments
    ADD CONSTRAINT adjustments_pkey PRIMARY KEY (adjustment_id);

ALTER TABLE ONLY billing.aggregate_versions
    ADD CONSTRAINT aggregate_versions_pkey PRIMARY KEY (aggregate);

ALTER TABLE ONLY billing.alone_days
    ADD CONSTRAINT alone_days_pkey PRIMARY KEY (person, day);

ALTER TABLE ONLY billing.charges
    ADD CONSTRAINT charges_pkey PRIMARY KEY (provider, charge_id);

ALTER TABLE ONLY billing.discounts
    ADD CONSTRAINT discounts_pkey PRIMARY KEY (user_id, discount_key);

ALTER TABLE ONLY billing.draw_days
    ADD CONSTRAINT draw_days_pkey PRIMARY KEY (day);

ALTER TABLE ONLY billing.draws
    ADD CONSTRAINT draws_pkey PRIMARY KEY (user_id, day);

ALTER TABLE ONLY billing.effects
    ADD CONSTRAINT effects_pkey PRIMARY KEY (key);

ALTER TABLE ONLY billing.gifts
    ADD CONSTRAINT gifts_code_key UNIQUE (code);

ALTER TABLE ONLY billing.gifts
    ADD CONSTRAINT gifts_pkey PRIMARY KEY (gift_id);

ALTER TABLE ONLY billing.grants
    ADD CONSTRAINT grants_pkey PRIMARY KEY (grant_key);

ALTER TABLE ONLY billing.grants
    ADD CONSTRAINT grants_user_id_lot_key UNIQUE (user_id, lot);

ALTER TABLE ONLY billing.holds
    ADD CONSTRAINT holds_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.inbox
    ADD CONSTRAINT inbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY billing.lots
    ADD CONSTRAINT lots_pkey PRIMARY KEY (user_id, number);

ALTER TABLE ONLY billing.operator_actions
    ADD CONSTRAINT operator_actions_pkey PRIMARY KEY (number);

ALTER TABLE ONLY billing.order_refunds
    ADD CONSTRAINT order_refunds_pkey PRIMARY KEY (refund_id);

ALTER TABLE ONLY billing.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (id, day);

ALTER TABLE ONLY billing.parked
    ADD CONSTRAINT parked_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_pkey PRIMARY KEY (payment_id);

ALTER TABLE ONLY billing.payments
    ADD CONSTRAINT payments_provider_provider_ref_key UNIQUE (provider, provider_ref);

ALTER TABLE ONLY billing.plan_purchases
    ADD CONSTRAINT plan_purchases_pkey PRIMARY KEY (order_id);

ALTER TABLE ONLY billing.promo_misses
    ADD CONSTRAINT promo_misses_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY billing.promo_uses
    ADD CONSTRAINT promo_uses_pkey PRIMARY KEY (code, user_id);

ALTER TABLE ONLY billing.promos
    ADD CONSTRAINT promos_pkey PRIMARY KEY (code);

ALTER TABLE ONLY billing.provider_events
    ADD CONSTRAINT provider_events_pkey PRIMARY KEY (provider, event_key);

ALTER TABLE ONLY billing.providers
    ADD CONSTRAINT providers_pkey PRIMARY KEY (provider);

ALTER TABLE ONLY billing.quotas
    ADD CONSTRAINT quotas_pkey PRIMARY KEY (user_id, workflow_id);

ALTER TABLE ONLY billing.referral_rewards
    ADD CONSTRAINT referral_rewards_pkey PRIMARY KEY (provider, charge_id);

ALTER TABLE ONLY billing.referrals
    ADD CONSTRAINT referrals_pkey PRIMARY KEY (newcomer_id);

ALTER TABLE ONLY billing.schema_version
    ADD CONSTRAINT schema_version_key_key UNIQUE (key);

ALTER TABLE ONLY billing.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (number);

ALTER TABLE ONLY billing.seals
    ADD CONSTRAINT seals_pkey PRIMARY KEY (number);

ALTER TABLE ONLY billing.starts
    ADD CONSTRAINT starts_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (charge_id);

ALTER TABLE ONLY billing.tier_changes
    ADD CONSTRAINT tier_changes_pkey PRIMARY KEY (user_id, version);

ALTER TABLE ONLY billing.tier_steps
    ADD CONSTRAINT tier_steps_pkey PRIMARY KEY (user_id, version);

ALTER TABLE ONLY billing.transfers
    ADD CONSTRAINT transfers_pkey PRIMARY KEY (user_id, number);

CREATE INDEX access_grants_of ON billing.access_grants USING btree (subscription_id);

CREATE INDEX accounts_trial_due ON billing.accounts USING btree (trial_renews_at) WHERE (trial_renews_at IS NOT NULL);

CREATE INDEX charges_by_id ON billing.charges USING btree (charge_id);

CREATE INDEX charges_in_review ON billing.charges USING btree (paid_at) WHERE (state = 'review'::text);

CREATE INDEX charges_of_payment ON billing.charges USING btree (payment_id);

CREATE INDEX charges_of_user ON billing.charges USING btree (user_id, paid_at);

CREATE INDEX charges_refunding ON billing.charges USING btree (provider, paid_at) WHERE (state = 'refunding'::text);

CREATE UNIQUE INDEX discounts_by_order ON billing.discounts USING btree (order_id) WHERE (order_id IS NOT NULL);

CREATE INDEX effects_about ON billing.effects USING btree (about, key COLLATE "C") WHERE (about IS NOT NULL);

CREATE INDEX effects_due ON billing.effects USING btree (due_at) WHERE (state = 'due'::text);

CREATE INDEX effects_settled ON billing.effects USING btree (settled_at) WHERE (state <> 'due'::text);

CREATE INDEX gifts_expiring ON billing.gifts USING btree (expires_at) WHERE (state = 'waiting'::text);

CREATE INDEX gifts_waiting_of ON billing.gifts USING btree (giver_id) WHERE (state = 'waiting'::text);

CREATE INDEX holds_pending ON billing.holds USING btree (expires_at) WHERE (state = 'pending'::text);

CREATE INDEX lots_expiring ON billing.lots USING btree (expires_at) WHERE ((state = 'open'::text) AND (expires_at IS NOT NULL));

CREATE INDEX operator_actions_of ON billing.operator_actions USING btree (subject_id, number);

CREATE INDEX order_refunds_of ON billing.order_refunds USING btree (order_id);

CREATE INDEX orders_delivery_due ON billing.orders USING btree (deliver_due_at) WHERE (deliver_due_at IS NOT NULL);

CREATE INDEX outbox_pending ON ONLY billing.outbox USING btree (id) WHERE (published_at IS NULL);

CREATE INDEX parked_waiting ON billing.parked USING btree (parked_at) WHERE (state <> 'done'::text);

CREATE INDEX payments_by_ref ON billing.payments USING btree (provider_ref);

CREATE INDEX payments_check_due ON billing.payments USING btree (provider, check_due_at) WHERE (check_due_at IS NOT NULL);

CREATE INDEX payments_of_user ON billing.payments USING btree (user_id, payment_id);

CREATE INDEX plan_purchases_of_user ON billing.plan_purchases USING btree (user_id);

CREATE INDEX referral_rewards_due ON billing.referral_rewards USING btree (due_at) WHERE (state = 'held'::text);

CREATE INDEX referral_rewards_of ON billing.referral_rewards USING btree (referrer_id);

CREATE INDEX referrals_of ON billing.referrals USING btree (referrer_id);

CREATE INDEX subscriptions_of_payment ON billing.subscriptions USING btree (payment_id);

CREATE INDEX subscriptions_of_user ON billing.subscriptions USING btree (user_id);

CREATE INDEX transfers_written_in ON billing.transfers USING btree (written_in);

CREATE TRIGGER operator_actions_are_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON billing.operator_actions FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER seals_are_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON billing.seals FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();

CREATE TRIGGER transfers_are_immutable BEFORE DELETE OR UPDATE OR TRUNCATE ON billing.transfers FOR EACH STATEMENT EXECUTE FUNCTION billing.refuse_change();
