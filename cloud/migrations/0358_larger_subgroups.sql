-- Above ten readings a point the chart of the spread is that of the standard deviation.
ALTER TABLE control_plan DROP CONSTRAINT control_plan_subgroup_check, ADD CHECK (subgroup BETWEEN 1 AND 25);
