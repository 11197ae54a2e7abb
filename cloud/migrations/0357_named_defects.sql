-- What the model takes a part's defect for, beside what an operator says; and whether the picture lay as its reference does.
ALTER TABLE inspection
    ADD COLUMN model_defect text CHECK (model_defect <> '' AND length(model_defect) <= 80),
    ADD COLUMN model_chance real CHECK (model_chance BETWEEN 0 AND 1),
    ADD COLUMN aligned boolean NOT NULL DEFAULT true,
    ADD CHECK ((model_defect IS NULL) = (model_chance IS NULL));
COMMENT ON COLUMN inspection.model_defect IS 'NULL where the model names no defect, or is not sure of one';
