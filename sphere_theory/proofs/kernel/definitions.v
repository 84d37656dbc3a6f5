(* Every notion that the theorems speak of, built from the entries of W and ΔW. Nothing is proved here.
   `python -m proofs.kernel` hands definitions and statements to the kernel as it displays them, and prints
   what they rest on (Print Assumptions). *)
From Coq Require Import Reals.
Open Scope R_scope.

(* ---------- 1. sums ---------- *)

(* Σ_{i<n} f_i: n terms, numbered from 0 *)
Fixpoint sum (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S m => sum m f + f m end.

(* Σ_{j<n, j≠i} f_j *)
Definition others (n i : nat) (f : nat -> R) : R :=
  sum n (fun j => if Nat.eq_dec i j then 0 else f j).

(* the largest of f_i, i < n, and 0 *)
Fixpoint largest (n : nat) (f : nat -> R) : R :=
  match n with O => 0 | S m => Rmax (largest m f) (f m) end.

(* ---------- 2. vectors and matrices ---------- *)

(* a vector of dimension d is read at its entries 0 … d−1 *)
Definition vec := nat -> R.

(* row i, column k; a row is a vector *)
Definition matrix := nat -> vec.

(* W + ΔW *)
Definition plus (W Delta : matrix) : matrix := fun i k => W i k + Delta i k.

(* t A *)
Definition scaled (t : R) (A : matrix) : matrix := fun i k => t * A i k.

Section Vectors.
Variable d : nat.

(* ⟨u, v⟩ = Σ_k u_k v_k *)
Definition dot (u v : vec) : R := sum d (fun k => u k * v k).

(* ‖u‖ *)
Definition norm (u : vec) : R := sqrt (dot u u).

(* w/‖w‖ *)
Definition direction (w : vec) : vec := fun k => w k / norm w.

(* ‖u − v‖ *)
Definition chord (u v : vec) : R := norm (fun k => u k - v k).

(* the angle of two unit vectors *)
Definition angle (u v : vec) : R := acos (dot u v).

(* Xᵀ v: what the inputs, the columns of X, see of v *)
Definition seen (X : matrix) (v : vec) : vec := fun l => sum d (fun k => v k * X k l).

(* A X, for A of d columns and X of d rows *)
Definition times (A X : matrix) : matrix := fun i => seen X (A i).
End Vectors.

(* ---------- 3. one pair of neurons, by distance or by angle ---------- *)

Section Pair.
Variable s : R.

(* what a pair at distance D adds to the energy: D^(−s), and ln(1/D) at s = 0 *)
Definition potential (D : R) : R := if Req_EM_T s 0 then ln (1 / D) else Rpower D (- s).

(* the gradient's leading factor: 2s, and 2 at s = 0 *)
Definition factor : R := if Req_EM_T s 0 then 2 else 2 * s.

(* h(θ) = D^(−s−1) cos(θ/2) with D = 2 sin(θ/2) *)
Definition h (x : R) : R := Rpower (2 * sin (x / 2)) (- s - 1) * cos (x / 2).

(* q(φ) = (f/2) d^(−s−2) (1 + (s+2) cos²(φ/2)) with d = 2 sin(φ/2) *)
Definition q (x : R) : R := factor / 2 * Rpower (2 * sin (x / 2)) (- s - 2) * (1 + (s + 2) * cos (x / 2) ^ 2).
End Pair.

(* ---------- 4. n neurons of dimension d ---------- *)

Section Neurons.
Variables (n d : nat) (s : R).

(* û_i = w_i/‖w_i‖ *)
Definition unit_row (W : matrix) (i : nat) : vec := direction d (W i).

(* D_ij = ‖û_i − û_j‖ *)
Definition D (W : matrix) (i j : nat) : R := chord d (unit_row W i) (unit_row W j).

(* θ_ij, the angle between û_i and û_j *)
Definition theta (W : matrix) (i j : nat) : R := angle d (unit_row W i) (unit_row W j).

(* δ_i, the angle between w_i and ŵ_i = w_i + Δw_i *)
Definition delta (W Delta : matrix) (i : nat) : R := angle d (unit_row W i) (unit_row (plus W Delta) i).

(* HE_s(W) = Σ_{i≠j} D_ij^(−s), and Σ_{i≠j} ln(1/D_ij) at s = 0 *)
Definition HE (W : matrix) : R := sum n (fun i => others n i (fun j => potential s (D W i j))).

(* no zero row, and no two neurons in one direction *)
Definition sound (W : matrix) : Prop :=
  (forall i, (i < n)%nat -> 0 < norm d (W i)) /\
  (forall i j, (i < n)%nat -> (j < n)%nat -> i <> j -> 0 < D W i j).

(* ‖A‖_F of a matrix of n rows and m columns *)
Definition frobenius (m : nat) (A : matrix) : R := sqrt (sum n (fun i => dot m (A i) (A i))).

(* ⟨A, B⟩ = Σ_i ⟨a_i, b_i⟩ *)
Definition inner (A B : matrix) : R := sum n (fun i => dot d (A i) (B i)).

(* v is a combination Σ_i c_i a_i of the rows of A *)
Definition row_space (A : matrix) (v : vec) : Prop :=
  exists c : nat -> R, forall k, (k < d)%nat -> v k = sum n (fun i => c i * A i k).

(* ---------- 5. what B8 is made of ---------- *)

(* Σ_{j≠i} h(θ_ij) *)
Definition pull (W : matrix) (i : nat) : R := others n i (fun j => h s (theta W i j)).

(* whichever of W and Ŵ = W + ΔW has the larger energy *)
Definition higher (W Delta : matrix) : matrix :=
  if Rle_dec (HE W) (HE (plus W Delta)) then plus W Delta else W.

(* K* = √ Σ_i [(f/max(‖w_i‖, ‖ŵ_i‖)) Σ_{j≠i} h(θ*_ij)]² *)
Definition K (W Delta : matrix) : R :=
  sqrt (sum n (fun i =>
    (factor s / Rmax (norm d (W i)) (norm d (plus W Delta i)) * pull (higher W Delta) i) ^ 2)).

(* ---------- 6. what B9 is made of ---------- *)

(* ∂HE_s/∂w_i = (f/‖w_i‖) Σ_{j≠i} (û_j − c_ij û_i) D_ij^(−s−2), as E2 has it *)
Definition gradient (W : matrix) : matrix := fun i k =>
  factor s / norm d (W i) * others n i (fun j =>
    (unit_row W j k - dot d (unit_row W i) (unit_row W j) * unit_row W i k) * Rpower (D W i j) (- s - 2)).

(* G_i = ‖w_i‖ ∂HE_s/∂w_i *)
Definition G (W : matrix) : matrix := fun i k => norm d (W i) * gradient W i k.

(* τ_i, the unit tangent at û_i towards ŵ_i/‖ŵ_i‖; of no account where δ_i = 0 *)
Definition tau (W Delta : matrix) : matrix := fun i k =>
  (unit_row (plus W Delta) i k - cos (delta W Delta i) * unit_row W i k) / sin (delta W Delta i).

(* φ_ij = θ_ij − δ_i − δ_j *)
Definition phi (W Delta : matrix) (i j : nat) : R := theta W i j - delta W Delta i - delta W Delta j.

(* ---------- 7. what B10 is made of ---------- *)

(* K_grad = ‖∇HE_s(W)‖_F *)
Definition K_gradient (W : matrix) : R := frobenius d (gradient W).

(* κ = arcsin(x)/x *)
Definition kappa (x : R) : R := asin x / x.

(* θ_ij − t √(‖w_i‖^(−2) + ‖w_j‖^(−2)), for t = κρ *)
Definition psi (W : matrix) (t : R) (i j : nat) : R :=
  theta W i j - t * sqrt (/ norm d (W i) ^ 2 + / norm d (W j) ^ 2).

(* Q = max_i ‖w_i‖^(−2) Σ_{j≠i} q(ψ_ij) *)
Definition Q (W : matrix) (t : R) : R :=
  largest n (fun i => / norm d (W i) ^ 2 * others n i (fun j => q s (psi W t i j))).
End Neurons.
