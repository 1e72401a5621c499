// vector_math_error.h — the error function and its inverse.
#pragma once

#include "backend/cpu/vector_math_log.h"

namespace mx::cpu::vector_math {

/// Near 0 an odd polynomial, else 1 - e^-g(|x|) with a polynomial g = -log(erfc), as N. Juffa does it in float32.
template <class F>
MX_INLINE F erf(F x) {
  F a = abs(x), z = x * x, p, g;
  // From the limit on the result is 1.
  F c = min(num<F>(is_float32<F> ? 4 : 6), a);
  if constexpr (is_float32<F>) {
    // Within 2^-30, 2^-56.3 (tests/tools/minimax.py: `erf_near`) and 2^-29.3, 2^-60.7 (`erf_far`) of the result.
    p = horner(z, 7.99801273e-5, -0.000804999436, 0.00519241672, -0.0268557332, 0.112836257, -0.376126289, 0.128379166);
    g = horner(c, -0.000195347835, 0.00303744944, -0.0222039651, 0.103884026, 0.637236416, 1.12764347, 0.000203459946);
  } else {
    p = horner(z, 5.4151331585715268e-10, -3.6696422016160752e-9, 2.0484317861250275e-8, -1.7120355782660387e-7,
               1.6525604759386522e-6, -1.4929178048309839e-5, 0.00012055463778168619, -0.00085483302181693882,
               0.0052239776749641526, -0.026866170649667561, 0.11283791670976641, -0.37612638903184153, 0.12837916709551259);
    g = horner(c, 2.0217566860051273e-13, -9.996754968460463e-12, 2.3292158569196392e-10, -3.3997536425738586e-9, 3.4836734426504843e-8,
               -2.658410298999269e-7, 1.5606508434351736e-6, -7.1507642886553937e-6, 2.5457019931914148e-5, -6.7795203906123903e-5,
               0.00011709370943873973, -3.2594005690743822e-5, -0.00053809244345464269, 0.0016596474116806243, -0.00018939621792223312,
               -0.019136390044427964, 0.10277480745639704, 0.63661940441339127, 1.1283791909670198, 1.1651579274724667e-9);
  }
  return select(a < num<F>(0.925), fma(x, p, x), with_sign_of(num<F>(1) - exp_in_range(-g), x));
}

/// first + v p, where v is `of` - middle, and `rest` what `of` lacks.
template <class F>
struct ErfinvTerms {
  F of, rest, middle, v, first, p;
};

/// x times a function of w = -log(1 - x^2), after M. Giles, "Approximating the erfinv function" (GPU Computing Gems 2, 2011): a
/// polynomial in w, and in sqrt(w) where |x| is near 1.
template <class F>
MX_INLINE F erfinv(F x) {
  F one = num<F>(1), a = abs(x), rest = (one - a) * (one + a);
  auto [e, f, whole_e] = log_argument_normal(rest);
  F w = select(rest > num<F>(0), -log_sum(e, f, log_tail(f)), not_a_number<F>()), r = sqrt(w);
  ErfinvTerms<F> t;
  if constexpr (is_float32<F>) {
    // Within 2^-26.9, 2^-26.6 of the result (`erfinv_near`, `erfinv_far`).
    F v = w - num<F>(2.5703125);
    F p = horner(v, 5.74324754e-10, -8.20528356e-9, 8.82123263e-9, 4.69655561e-7, -3.18285811e-6, -6.33864101e-6, 0.000216245855, -0.00119166402,
                 -0.00443510339, 0.246034592);
    F u = r - num<F>(3), q = horner(u, -2.89964701e-5, 0.000159607371, -0.000277793035, -0.000118855263, 0.00147500972, -0.00356759969, 0.00568777695,
                 -0.00764268171, 0.00944529288, 1.00167525);
    auto near = w < num<F>(5);
    t = {select(near, w, r), num<F>(0), select(near, num<F>(2.5703125), num<F>(3)), select(near, v, u), select(near, num<F>(1.51873016), num<F>(2.83297682)),
         select(near, p, q)};
  } else {
    // Within 2^-54.4, 2^-53.2, 2^-54.7 (`erfinv_1`, `erfinv_2`, `erfinv_3`).
    F v = w - num<F>(3.125);
    F p = horner(v, 3.3757475539546018e-21, -1.009153582589678e-21, -3.5755019289908593e-19, 1.1444165305400528e-18, 1.5759801430770177e-17,
                 -1.300392116351751e-16, -4.2866203570275854e-17, 6.5947021873281731e-15, -3.9989770163100607e-14, -8.1170107588941548e-14,
                 2.6303545030453246e-12, -1.2976958163314658e-11, -5.4142389608623749e-11, 1.0512183979875255e-9, -4.1126619789222476e-9,
                 -2.9070382773963724e-8, 4.2347881907978858e-7, -1.365469184435928e-6, -1.3882523395793959e-5, 0.00018673420802425703,
                 -0.00074070253415395358, -0.0060336708714277543, 0.24015818242558826);
    F u = r - num<F>(3.25), q = horner(u, -1.6192131607303349e-8, 6.3487685815492417e-10, 1.339561878159785e-7, -2.7118769010669038e-7, -3.0283290188097133e-8,
                 1.498546602555362e-6, -3.9840653924804298e-6, 2.92582416905457e-6, 1.2464428289588898e-5, -4.7319015717399406e-5,
                 6.8287249996502617e-5, 2.4031263193819275e-5, -0.00035503783100370047, 0.00095328936306413059, -0.0016882755342375339,
                 0.0024914420970192832, -0.0037512085082634823, 0.0053709145535708767, 1.0052589676941657);
    F far = r - num<F>(5), s = horner(far, 5.5207765153833119e-12, -2.0550141987331048e-11, 1.6394437486596304e-11, 7.0235751131823138e-11,
                 -3.8399033458995652e-10, 1.3148517509896273e-9, -3.5307744774583431e-9, 7.822459204959634e-9,
                 -1.5215746060863672e-8, 2.9018128867245377e-8, -6.7571964008286291e-8, 2.2905296944627802e-7,
                 -9.9302566308787065e-7, 4.5260525016513193e-6, -1.9681771176142574e-5, 7.599527809872453e-5,
                 -0.00021503011980024514, -0.000138719318380205, 1.0103004648645448);
    auto near = w < num<F>(6.25), middle = r < num<F>(4);
    // The root's rounding; 1 / (2 r) is needed to one digit.
    F root_rest = residue(w, r, r) * fnma(r, num<F>(0.0265), num<F>(0.2385));
    t = {select(near, w, r), select(near, num<F>(0), root_rest), select(near, num<F>(3.125), select(middle, num<F>(3.25), num<F>(5))), select(near, v, select(middle, u, far)),
         select(near, num<F>(1.6536545626831027), select(middle, num<F>(3.0838856104922208), num<F>(4.8499064014085844))),
         select(near, p, select(middle, q, s))};
  }
  // first + v p as a pair, for its rounding would meet that of the product.
  Pair<F> term = exact_product(t.v, t.p), sum = exact_sum(t.first, term.hi);
  F low = fma((t.of - (t.v + t.middle)) + t.rest, t.p, term.lo);
  return with_sign_of(select(a == one, infinity<F>(), fma(a, sum.hi, a * (sum.lo + low))), x);
}

}  // namespace mx::cpu::vector_math
