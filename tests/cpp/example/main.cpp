// A C++ program that uses mxform: Newton's method for many roots at once, the derivative by grad, the batch by
// vmap. Prints the roots and exits with 1 if they are wrong.

#include <cmath>
#include <iostream>

#include "mx.h"

int main() {
  mx::register_backends();

  // f(x, c) = x^3 + x - c has one real root for every c.
  mx::Function f = [](const mx::Arrays& in) -> mx::Arrays {
    const mx::array &x = in[0], &c = in[1];
    return {x * x * x + x - c};
  };
  mx::Function newton_step = [&](const mx::Arrays& in) -> mx::Arrays {
    mx::array slope = mx::grad(f)(in)[0];
    return {in[0] - f(in)[0] / slope};
  };

  mx::array c = mx::linspace(0.0, 10.0, 6);
  mx::array x = mx::ones_like(c);
  for (int i = 0; i < 20; ++i) {
    x = mx::vmap(newton_step, {x, c}, {0, 0}, [](size_t n) { return mx::BatchAxes(n, 0); })[0];
  }
  std::cout << "roots: " << x << "\n";

  float worst = mx::max(mx::abs(f({x, c})[0])).item<float>();
  std::cout << "largest residual: " << worst << "\n";
  return worst < 1e-4f ? 0 : 1;
}
