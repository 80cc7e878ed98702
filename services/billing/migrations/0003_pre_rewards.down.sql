ALTER TABLE orders DROP CONSTRAINT discounts_are_exact;
ALTER TABLE orders DROP COLUMN discount_percent, DROP COLUMN base_price_credits;
ALTER TABLE lots DROP COLUMN expiry_told;
ALTER TABLE accounts DROP COLUMN referral_code;
DROP TABLE referral_rewards, referrals, gifts, draws, draw_days, discounts, promo_misses, promo_uses, promos;
