-- Orders that the shop is paid for.
CREATE FUNCTION is_revenue(status TEXT) RETURNS BOOLEAN
RETURN status NOT IN ('cancelled', 'refunded');
