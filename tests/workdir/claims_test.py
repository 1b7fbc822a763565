import math

import pytest

from jaxdl.workdir import claims, tables


@pytest.mark.parametrize(
    ('claim', 'error', 'holds'),
    [
        (claims.close('x', 1.0, 1.0 + 1e-13, 1e-12), 1e-13, True),
        (claims.close('x', 1.0, 1.1, 0.05), 0.1, False),
        (claims.close('x', 0.0, 0.0, 0.0), 0.0, True),
        (claims.relatively_close('x', -200.0, -202.0, 0.011), 0.01, True),
        (claims.relatively_close('x', -200.0, 200.0, 0.5), 2.0, False),
        (claims.at_least('x', 3.0, 4.0), 0.0, True),
        (claims.at_least('x', 3.0, 2.5), 0.5, False),
        (claims.at_most('x', 3.0, 3.0), 0.0, True),
        (claims.at_most('x', 3.0, 3.5), 0.5, False),
    ],
)
def test_a_claim_holds_within_its_tolerance(claim, error, holds):
    assert claim.error == pytest.approx(error, rel=1e-2)
    assert claim.holds is holds


@pytest.mark.parametrize('make', [claims.close, claims.relatively_close])
def test_claims_with_nan_or_infinity_never_hold(make):
    assert not make('x', 1.0, math.nan, 1e9).holds
    assert not make('x', 1.0, math.inf, 1e9).holds


@pytest.mark.parametrize('make', [claims.at_least, claims.at_most])
def test_a_bound_on_what_is_not_a_number_never_holds(make):
    assert not make('x', 1.0, math.nan).holds


def test_claims_survive_their_table(tmp_path):
    claim_list = [
        claims.close('one, "quoted"', 1 / 3, 1 / 3 + 1e-9, 1e-12),
        claims.at_least('two', 0, 5),
    ]
    tables.write_table(tmp_path / 'claims.csv', claims.COLUMNS, claims.rows(claim_list))
    assert tables.read_table(tmp_path / 'claims.csv', claims.COLUMNS) == claims.rows(claim_list)
    assert [row['holds'] for row in claims.rows(claim_list)] == ['false', 'true']
