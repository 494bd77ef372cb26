\set n random(1, 40)
SELECT change_some(:n);
