"""R's data frames as arrays, for scripts/dev/real-tables, whose help says how. Arguments: a folder of .rda files, the
folder to write to, and the fewest rows of a class. Prints rows, columns and classes of each table."""
import os
import sys

import numpy as np
import pyreadr

# Name: file, class column, unordered categories.
TABLES = {
    "glass": ("Glass", "Type", []),
    "house_votes": ("HouseVotes84", "Class", []),
    "income": ("income", "INCOME", ["MARITAL.STATUS", "OCCUPATION", "DUAL.INCOMES", "HOUSEHOLDER", "HOME.TYPE",
                                    "ETHNIC.CLASS", "LANGUAGE"]),
    "ionosphere": ("Ionosphere", "Class", []),
    "musk": ("musk", "Class", []),
    "pima": ("PimaIndiansDiabetes", "diabetes", []),
    "shuttle": ("Shuttle", "Class", []),
    "sonar": ("Sonar", "Class", []),
    "soybean": ("Soybean", "Class", ["crop.hist", "area.dam", "seed.tmt", "roots", "canker.lesion", "fruit.spots",
                                     "leaf.mild", "ext.decay", "int.discolor", "leaf.halo", "leaf.marg"]),
    "ticdata": ("ticdata", "CARAVAN", ["STYPE", "MOSHOOFD"]),
    "zoo": ("Zoo", "type", []),
}


def numbers(column):
    """One column of the frame: the place of each level, or the number; the median where it is missing."""
    values = column.cat.codes.where(column.notna()) if column.dtype == "category" else column.astype(float)
    values = values.astype(float)
    return values.fillna(values.median()).to_numpy()


def columns_of(frame, unordered):
    """[rows, columns], the classes left out."""
    columns = []
    for name in frame.columns:
        if name in unordered:
            columns += [(frame[name] == level).to_numpy(float) for level in frame[name].cat.categories]
        else:
            columns.append(numbers(frame[name]))
    return np.stack(columns, 1).astype(np.float32)


def read(folder, name):
    """x [rows, columns] and labels [rows]."""
    file, target, unordered = TABLES[name]
    frame = pyreadr.read_r(os.path.join(folder, file + ".rda"), use_objects=[file])[file]
    missing = set(unordered + [target]) - set(frame.columns)
    if missing:
        sys.exit(f"{file}: no column {', '.join(sorted(missing))}")
    labels = frame[target].cat.codes.to_numpy(np.int64)
    if labels.min() < 0:
        sys.exit(f"{file}: a row without a class")
    return columns_of(frame.drop(columns=target), unordered), labels


def main():
    source, target, fewest = sys.argv[1], sys.argv[2], int(sys.argv[3])
    for name in TABLES:
        x, labels = read(source, name)
        kept = np.bincount(labels)[labels] >= fewest
        x, labels = x[kept], labels[kept]
        np.save(os.path.join(target, name + ".npy"), x)
        np.save(os.path.join(target, name + ".labels.npy"), labels)
        print(f"{name:<12} {x.shape[0]:>6} rows {x.shape[1]:>4} columns {len(np.unique(labels)):>3} classes")


if __name__ == "__main__":
    main()
