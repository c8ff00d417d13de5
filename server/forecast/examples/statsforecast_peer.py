# Foretells series with statsforecast, for the bench beside it: JSON on standard input and output. Processor seconds are
# told, on one core, after everything was compiled once.
import json
import sys
import time
import warnings

import numpy
from statsforecast.models import MSTL, AutoETS, SeasonalNaive

warnings.filterwarnings("ignore")
asked = json.load(sys.stdin)
horizon, season = asked["horizon"], asked["season"]
past = [numpy.array(values, dtype=float) for values in asked["past"]]

METHODS = [
    ("statsforecast snaive", lambda: SeasonalNaive(season)),
    ("statsforecast mstl+ets", lambda: MSTL([season, 7 * season], trend_forecaster=AutoETS(model="ZZN"))),
]


def foretell(make, values):
    made = make().forecast(y=values, h=horizon, level=[80, 95])
    return [made[name].tolist() for name in ("mean", "lo-95", "hi-95", "lo-80", "hi-80")]


answer = []
for name, make in METHODS:
    foretell(make, past[0])
    began = time.process_time()
    paths = [foretell(make, values) for values in past]
    answer.append([name, time.process_time() - began, paths])
json.dump(answer, sys.stdout)
