(* Vectors of dimension d (any d): dot products, directions, chords, angles. *)
From Coq Require Import Reals Lra Lia Psatz.
From SphereTheory Require Import definitions sums pair.
Open Scope R_scope.

(* ---------- 1. the spherical triangle inequality for three cosines ---------- *)

Lemma acos_triangle a b c : -1 <= a <= 1 -> -1 <= b <= 1 -> -1 <= c <= 1 ->
  (c - a * b) * (c - a * b) <= (1 - a * a) * (1 - b * b) -> acos c <= acos a + acos b.
Proof.
  intros Ha Hb Hc HG.
  destruct (acos_bound a) as [Ha0 HaP]. destruct (acos_bound b) as [Hb0 HbP].
  destruct (acos_bound c) as [Hc0 HcP].
  destruct (Rle_lt_dec (acos a + acos b) PI) as [Hle | Hgt]; [ | lra ].
  assert (Hcos : cos (acos a + acos b) <= c).
  { rewrite cos_plus, !cos_acos by lra.
    assert (S1 : 0 <= sin (acos a)) by (apply sin_ge_0; lra).
    assert (S2 : 0 <= sin (acos b)) by (apply sin_ge_0; lra).
    pose proof (sin2_cos2 (acos a)) as Q1. pose proof (sin2_cos2 (acos b)) as Q2.
    unfold Rsqr in Q1, Q2. rewrite cos_acos in Q1 by lra. rewrite cos_acos in Q2 by lra.
    set (x := sin (acos a)) in *. set (y := sin (acos b)) in *.
    destruct (Rle_lt_dec (a * b - x * y) c) as [H | H]; [ exact H | exfalso ].
    assert (0 <= x * y) by nra.
    assert (x * y < a * b - c) by lra.
    assert ((x * y) * (x * y) < (a * b - c) * (a * b - c)) by nra.
    assert ((x * x) * (y * y) = (1 - a * a) * (1 - b * b)) by (f_equal; lra). nra. }
  destruct (Rle_lt_dec (acos c) (acos a + acos b)) as [H | H]; [ exact H | exfalso ].
  assert (cos (acos c) < cos (acos a + acos b)) by (apply cos_decreasing_1; lra).
  rewrite cos_acos in H0 by lra. lra.
Qed.

Section Vectors.
Variable d : nat.
Local Notation dot := (dot d).
Local Notation norm := (norm d).
Local Notation direction := (direction d).
Local Notation angle := (angle d).
Local Notation chord := (chord d).

(* ---------- 2. dot products ---------- *)

Definition lin (a : R) (u : vec) (b : R) (v : vec) : vec := fun k => a * u k + b * v k.

Lemma dot_sym u v : dot u v = dot v u.
Proof. apply sum_ext; intros; apply Rmult_comm. Qed.

Lemma dot_ext u v u' v' : (forall k, u k = u' k) -> (forall k, v k = v' k) -> dot u v = dot u' v'.
Proof. intros Hu Hv. apply sum_ext; intros k _. now rewrite Hu, Hv. Qed.

Lemma dot_lin_l a u b v w : dot (lin a u b v) w = a * dot u w + b * dot v w.
Proof. unfold dot, lin. rewrite <- !sum_scal, <- sum_plus. apply sum_ext; intros; ring. Qed.

Lemma dot_lin_r a u b v w : dot w (lin a u b v) = a * dot w u + b * dot w v.
Proof. rewrite dot_sym, dot_lin_l, (dot_sym u), (dot_sym v). reflexivity. Qed.

Lemma dot_zero_r w : dot w (fun _ => 0) = 0.
Proof. unfold definitions.dot. rewrite (sum_ext d _ (fun _ => 0)); [ apply sum_zero | intros; ring ]. Qed.

Lemma dot_sum n f v : dot (fun k => sum n (fun j => f j k)) v = sum n (fun j => dot (f j) v).
Proof.
  unfold definitions.dot. rewrite <- sum_swap. apply sum_ext; intros k _.
  rewrite Rmult_comm, <- sum_scal. apply sum_ext; intros; ring.
Qed.

Lemma dot_nonneg u : 0 <= dot u u.
Proof. apply sum_nonneg; intros. apply Rle_0_sqr. Qed.

Lemma cs u v : dot u v * dot u v <= dot u u * dot v v.
Proof. apply cauchy_schwarz. Qed.

Lemma norm_sq u : norm u * norm u = dot u u.
Proof. apply sqrt_sqrt, dot_nonneg. Qed.

Lemma norm_nonneg u : 0 <= norm u.
Proof. apply sqrt_pos. Qed.

Lemma dot_le_norms u v : dot u v <= norm u * norm v.
Proof. apply cauchy_schwarz_sqrt. Qed.

Lemma dot_direction u v : dot (direction u) (direction v) = dot u v / (norm u * norm v).
Proof.
  unfold Rdiv. rewrite Rinv_mult, Rmult_comm. unfold dot at 1. unfold dot. rewrite <- sum_scal.
  apply sum_ext; intros k _. unfold direction, Rdiv. ring.
Qed.

Lemma direction_unit w : 0 < norm w -> dot (direction w) (direction w) = 1.
Proof. intros H. rewrite dot_direction, norm_sq, <- norm_sq. field. lra. Qed.

(* ---------- 3. angles ---------- *)

(* Cauchy–Schwarz for what a unit vector leaves of two others *)
Lemma gram u v w : dot u u = 1 -> dot v v = 1 -> dot w w = 1 ->
  (dot u w - dot u v * dot v w) * (dot u w - dot u v * dot v w) <=
    (1 - dot u v * dot u v) * (1 - dot v w * dot v w).
Proof.
  intros Hu Hv Hw.
  pose proof (cs (lin 1 u (- dot u v) v) (lin 1 w (- dot v w) v)) as H.
  rewrite !dot_lin_l, !dot_lin_r, Hu, Hv, Hw, (dot_sym v u), (dot_sym w v) in H.
  nra.
Qed.

Lemma unit_range u v : dot u u = 1 -> dot v v = 1 -> -1 <= dot u v <= 1.
Proof. intros Hu Hv. pose proof (cs u v) as H. rewrite Hu, Hv in H. split; nra. Qed.

Lemma angle_bound u v : 0 <= angle u v <= PI.
Proof. apply acos_bound. Qed.

Lemma angle_sym u v : angle u v = angle v u.
Proof. unfold angle. now rewrite dot_sym. Qed.

Theorem angle_triangle u v w : dot u u = 1 -> dot v v = 1 -> dot w w = 1 ->
  angle u w <= angle u v + angle v w.
Proof.
  intros Hu Hv Hw. apply acos_triangle; try now apply unit_range.
  now apply gram.
Qed.

(* an edit moves the angle of a pair by no more than its two neurons turn *)
Theorem angle_moves u v u' v' : dot u u = 1 -> dot v v = 1 -> dot u' u' = 1 -> dot v' v' = 1 ->
  angle u v - angle u' v' <= angle u u' + angle v v'.
Proof.
  intros Hu Hv Hu' Hv'.
  pose proof (angle_triangle u u' v Hu Hu' Hv). pose proof (angle_triangle u' v' v Hu' Hv' Hv).
  rewrite (angle_sym v' v) in H0. lra.
Qed.

(* ---------- 4. chords: D = 2 sin(θ/2) ---------- *)

Lemma chord_sq u v : dot u u = 1 -> dot v v = 1 -> chord u v * chord u v = 2 - 2 * dot u v.
Proof.
  intros Hu Hv. unfold chord. rewrite norm_sq.
  rewrite (dot_ext _ _ (lin 1 u (-1) v) (lin 1 u (-1) v)) by (intros; unfold lin; ring).
  rewrite !dot_lin_l, !dot_lin_r, Hu, Hv, (dot_sym v u). ring.
Qed.

Theorem chord_angle u v : dot u u = 1 -> dot v v = 1 -> chord u v = 2 * sin (angle u v / 2).
Proof.
  intros Hu Hv. pose proof (angle_bound u v) as Hb. pose proof PI_RGT_0.
  assert (HS : 0 <= sin (angle u v / 2)) by (apply sin_ge_0; lra).
  pose proof (norm_nonneg (fun k => u k - v k)) as HN. fold (chord u v) in HN.
  pose proof (chord_sq u v Hu Hv) as Q.
  assert (E : dot u v = 1 - 2 * (sin (angle u v / 2) * sin (angle u v / 2))).
  { rewrite <- (cos_acos (dot u v)) at 1 by now apply unit_range.
    fold (angle u v). replace (angle u v) with (2 * (angle u v / 2)) at 1 by field.
    rewrite cos_2a_sin. ring. }
  apply Rsqr_inj; unfold Rsqr; lra.
Qed.

Lemma chord_pos_angle u v : dot u u = 1 -> dot v v = 1 -> 0 < chord u v -> 0 < angle u v <= PI.
Proof.
  intros Hu Hv Hc. rewrite chord_angle in Hc by assumption. pose proof (angle_bound u v) as Hb.
  split; [ | lra ]. destruct Hb as [[H | H] _]; [ exact H | exfalso ].
  rewrite <- H in Hc. replace (0 / 2) with 0 in Hc by field. rewrite sin_0 in Hc. lra.
Qed.

(* ---------- 5. the arc: how far a change of given length can turn a vector ---------- *)

Lemma norm_change w w' : norm (fun k => w' k - w k) * norm (fun k => w' k - w k) =
  norm w * norm w + norm w' * norm w' - 2 * dot w w'.
Proof.
  rewrite !norm_sq.
  rewrite (dot_ext _ _ (lin 1 w' (-1) w) (lin 1 w' (-1) w)) by (intros; unfold lin; ring).
  rewrite !dot_lin_l, !dot_lin_r, (dot_sym w' w). ring.
Qed.

(* with the length of the vector that it starts from *)
Lemma arc_from u v c a b l : 0 < a -> 0 <= b -> 0 <= l -> -1 <= c <= 1 -> u = acos c -> v = 1 - exp (- u) ->
  l * l = a * a + b * b - 2 * (a * b * c) -> v * a <= l.
Proof.
  intros Ha Hb Hl Hc -> -> Q. pose proof (acos_bound c) as HB. pose proof (exp_pos (- acos c)) as HE.
  pose proof (exp_opp_le_1 (acos c) ltac:(lra)) as HE1.
  assert (HV : ((1 - exp (- acos c)) * a) * ((1 - exp (- acos c)) * a) <= l * l).
  { destruct (Rle_lt_dec c 0) as [Hn | Hp].
    - (* beyond a right angle the change is longer than the vector *)
      assert (0 <= a * b) by (apply Rmult_le_pos; lra).
      assert (0 <= (a * b) * - c) by (apply Rmult_le_pos; lra).
      assert ((1 - exp (- acos c)) * (1 - exp (- acos c)) <= 1) by nra.
      assert ((1 - exp (- acos c)) * (1 - exp (- acos c)) * (a * a) <= 1 * (a * a))
        by (apply Rmult_le_compat_r; nra).
      pose proof (Rle_0_sqr b) as Hbb. unfold Rsqr in Hbb. lra.
    - (* up to it the change is at least as long as the distance to the ray, ‖w‖ sin δ *)
      assert (HA : acos c <= PI / 2).
      { destruct (Rle_lt_dec (acos c) (PI / 2)) as [H | H]; [ exact H | exfalso ].
        pose proof (cos_lt_0 (acos c) H ltac:(pose proof PI_RGT_0; lra)) as H0.
        rewrite cos_acos in H0 by lra. lra. }
      pose proof (sin_above (acos c) ltac:(lra)) as HS.
      pose proof (sin2_cos2 (acos c)) as P. unfold Rsqr in P. rewrite cos_acos in P by lra.
      set (S := sin (acos c)) in *. set (v := 1 - exp (- acos c)) in *.
      assert (0 <= v) by (unfold v; lra).
      assert (v * v <= S * S) by (apply Rmult_le_compat; lra).
      assert (v * v * (a * a) <= S * S * (a * a)) by (apply Rmult_le_compat_r; [ nra | assumption ]).
      pose proof (Rle_0_sqr (b - a * c)) as R. unfold Rsqr in R.
      assert (S * S * (a * a) = (1 - c * c) * (a * a)) by (f_equal; lra).
      lra. }
  apply Rsqr_incr_0; [ exact HV | | exact Hl ]. apply Rmult_le_pos; lra.
Qed.

(* 1 − e^(−δ) ≤ ‖w' − w‖ / max(‖w‖, ‖w'‖), δ the angle between w and w' *)
Theorem arc w w' : 0 < norm w -> 0 < norm w' ->
  (1 - exp (- angle (direction w) (direction w'))) * Rmax (norm w) (norm w') <= norm (fun k => w' k - w k).
Proof.
  intros Hw Hw'.
  pose proof (unit_range _ _ (direction_unit w Hw) (direction_unit w' Hw')) as Hc.
  pose proof (norm_change w w') as Q. pose proof (norm_nonneg (fun k => w' k - w k)) as Hl.
  replace (dot w w') with (norm w * norm w' * dot (direction w) (direction w')) in Q
    by (rewrite dot_direction; field; lra).
  unfold Rmax. destruct (Rle_dec (norm w) (norm w')).
  - apply (arc_from _ _ (dot (direction w) (direction w')) (norm w') (norm w) _
      ltac:(lra) ltac:(lra) Hl Hc eq_refl eq_refl).
    rewrite Q. ring.
  - apply (arc_from _ _ (dot (direction w) (direction w')) (norm w) (norm w') _
      ltac:(lra) ltac:(lra) Hl Hc eq_refl eq_refl).
    rewrite Q. ring.
Qed.
End Vectors.
