-- What is wrong with a part, in the words of whoever judged it: what a defect Pareto counts.
ALTER TABLE inspection
    ADD COLUMN defect text CHECK (defect <> '' AND length(defect) <= 80),
    ADD CHECK (defect IS NULL OR judgement = 'defect');
GRANT UPDATE (defect) ON inspection TO sunmao_app;
COMMENT ON COLUMN inspection.defect IS 'The kind of defect an operator saw; NULL where they did not say';
